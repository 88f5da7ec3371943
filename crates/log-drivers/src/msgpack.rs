//! Writes the values of MessagePack that a forward message has (<https://github.com/msgpack/msgpack/blob/master/spec.md>).

use model::Timestamp;

/// Begins an array of up to 15 values.
pub(crate) fn array(out: &mut Vec<u8>, length: u8) {
    out.push(0x90 | length);
}

/// Begins a map of so many pairs.
pub(crate) fn map(out: &mut Vec<u8>, pairs: u16) {
    match u8::try_from(pairs).ok().filter(|pairs| *pairs < 16) {
        Some(pairs) => out.push(0x80 | pairs),
        None => {
            out.push(0xde);
            out.extend_from_slice(&pairs.to_be_bytes());
        }
    }
}

/// A text; invalid UTF-8 stays as it is, as other senders leave it.
pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match length {
        0..=31 => out.push(0xa0 | u8::try_from(length).unwrap_or_default()),
        32..=0xff => out.extend_from_slice(&[0xd9, u8::try_from(length).unwrap_or_default()]),
        0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&bytes[..length as usize]);
}

/// A time in whole seconds, as an unsigned integer.
pub(crate) fn seconds(out: &mut Vec<u8>, at: Timestamp) {
    out.push(0xcf);
    out.extend_from_slice(&u64::try_from(at.unix_seconds()).unwrap_or_default().to_be_bytes());
}

/// A time with nanoseconds: the extension type 0 of eight bytes, "EventTime Ext Format" of the forward protocol.
pub(crate) fn event_time(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(&[0xd7, 0x00]);
    out.extend_from_slice(&u32::try_from(at.unix_seconds()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&at.subsecond_nanoseconds().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_shortest_form() {
        let head = |length: usize| {
            let mut out = Vec::new();
            text(&mut out, &vec![b'x'; length]);
            assert_eq!(out[out.len() - length..], vec![b'x'; length]);
            out[..out.len() - length].to_vec()
        };
        assert_eq!(head(0), [0xa0]);
        assert_eq!(head(31), [0xbf]);
        assert_eq!(head(32), [0xd9, 32]);
        assert_eq!(head(256), [0xda, 1, 0]);
        assert_eq!(head(65_536), [0xdb, 0, 1, 0, 0]);
        let mut out = Vec::new();
        map(&mut out, 15);
        map(&mut out, 16);
        array(&mut out, 4);
        assert_eq!(out, [0x8f, 0xde, 0, 16, 0x94]);
    }

    #[test]
    fn times_are_whole_seconds_or_carry_nanoseconds() {
        let at = Timestamp::from_unix(0x0102_0304, 0x0506_0708).expect("a time");
        let mut out = Vec::new();
        seconds(&mut out, at);
        assert_eq!(out, [0xcf, 0, 0, 0, 0, 1, 2, 3, 4]);
        out.clear();
        event_time(&mut out, at);
        assert_eq!(out, [0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
