//! Building messages and walking their attributes, netlink(7).

/// `NLM_F_REQUEST`: set on every message by [`Message::new`].
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: the kernel confirms the message.
pub const ACKNOWLEDGE: u16 = 0x4;
/// `NLM_F_DUMP`: the kernel answers with all objects.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`: an existing object is replaced.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: an existing object is an error.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`: a missing object is made.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: the object goes to the end of its list.
pub const APPEND: u16 = 0x800;
/// `NLA_F_NESTED`: the attribute holds attributes.
const NESTED: u16 = 0x8000;
/// The bits of an attribute's type that are its type: without `NLA_F_NESTED` and
/// `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// One message under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins a message of type `kind` with `flags` in addition to `NLM_F_REQUEST`.
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    /// Appends the fixed part of the message's type, padded to 4 bytes.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// Appends an attribute that holds a string with its final zero byte.
    #[must_use]
    pub fn string(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that holds one number in the machine's byte order.
    #[must_use]
    pub fn native_u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that holds one number in the network's byte order.
    #[must_use]
    pub fn network_u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds the attributes that `build` appends.
    #[must_use]
    pub fn nested(mut self, kind: u16, build: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut message = build(self);
        let length = u16::try_from(message.bytes.len() - start).unwrap_or(u16::MAX);
        message.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        message
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Has the kernel confirm the message.
    #[must_use]
    pub fn acknowledged(mut self) -> Self {
        let flags = self.flags() | ACKNOWLEDGE;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    pub(super) fn flags(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]])
    }

    /// Writes length and sequence number into the header and returns the finished bytes.
    pub(super) fn finish(&self, sequence: u32, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        into[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        into[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

/// Walks the attributes in `bytes`: their types, without flag bits, and values.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let length = usize::from(read_u16(rest, 0));
        if length < 4 || length > rest.len() {
            return None;
        }
        let kind = read_u16(rest, 2) & ATTRIBUTE_TYPE;
        let value = &rest[4..length];
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some((kind, value))
    })
}

pub(super) fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_padded_nested_attributes() {
        let message = Message::new(16, ACKNOWLEDGE)
            .fixed(&[7; 3])
            .nested(5, |message| message.string(1, "ab").native_u32(2, 9));
        let mut bytes = Vec::new();
        message.finish(3, &mut bytes);
        assert_eq!(bytes.len(), 16 + 4 + 4 + 8 + 8);
        assert_eq!(read_u32(&bytes, 0) as usize, bytes.len());
        assert_eq!(read_u32(&bytes, 8), 3);
        let outer: Vec<_> = attributes(&bytes[20..]).collect();
        assert_eq!(outer.len(), 1);
        assert_eq!(outer[0].0, 5);
        let nested: Vec<_> = attributes(outer[0].1).collect();
        assert_eq!(nested, vec![(1, &b"ab\0"[..]), (2, &9u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn truncated_attributes_end_the_walk() {
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }
}
