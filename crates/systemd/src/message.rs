//! Messages of D-Bus: calls as bytes, and bytes as what answers them, by the specification of D-Bus ("Message Format").
//!
//! ```text
//! 'l' kind flags 1 │ bytes of the body │ serial │ fields: (code, value)… │ to a multiple of 8 │ body
//! ```

use crate::bus_error::BusError;
use crate::value::{Body, Writer, length};

/// The longest message that is taken; the manager's answers and signals have some hundred bytes.
pub(crate) const LONGEST: usize = 1 << 20;

/// What comes before the fields, with their length.
pub(crate) const HEAD: usize = 16;

const LITTLE_ENDIAN: u8 = b'l';
const VERSION: u8 = 1;
const CALL: u8 = 1;

/// Codes of fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// Whose method is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) interface: &'static str,
}

/// A call as it is sent.
pub(crate) fn call(serial: u32, object: Object, method: &str, body: &Body) -> Vec<u8> {
    let mut writer = Writer(vec![LITTLE_ENDIAN, CALL, 0, VERSION]);
    writer.number(length(body.bytes()));
    writer.number(serial);
    writer.array(8, |writer| {
        let texts = [
            (PATH, "o", object.path),
            (INTERFACE, "s", object.interface),
            (MEMBER, "s", method),
            (DESTINATION, "s", object.name),
        ];
        for (code, kind, text) in texts {
            writer.align(8);
            writer.0.push(code);
            writer.signature(kind);
            writer.text(text);
        }
        if !body.signature.is_empty() {
            writer.align(8);
            writer.0.push(SIGNATURE);
            writer.signature("g");
            writer.signature(&body.signature);
        }
    });
    writer.align(8);
    writer.0.extend_from_slice(body.bytes());
    writer.0
}

/// What kind of message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Return,
    Error,
    Signal,
    /// A call, or a kind of later versions.
    Other,
}

/// A message that came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// Of the call that it answers.
    pub(crate) reply_to: Option<u32>,
    /// The name that the bus has given to who sent it.
    pub(crate) sender: String,
    pub(crate) member: String,
    pub(crate) error: String,
    signature: String,
    body: Vec<u8>,
}

/// How many bytes a message has that begins with this head.
pub(crate) fn total(head: &[u8; HEAD]) -> Result<usize, BusError> {
    if head[0] != LITTLE_ENDIAN || head[3] != VERSION {
        return Err(BusError::Malformed);
    }
    let mut reader = Reader { bytes: head, at: 4 };
    let body = reader.number()? as usize;
    let _serial = reader.number()?;
    let fields = reader.number()? as usize;
    let total = body.saturating_add((HEAD.saturating_add(fields)).next_multiple_of(8));
    if total > LONGEST { Err(BusError::Malformed) } else { Ok(total) }
}

impl Message {
    /// Reads a whole message.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BusError> {
        let kind = match bytes.get(1) {
            Some(2) => Kind::Return,
            Some(3) => Kind::Error,
            Some(4) => Kind::Signal,
            _ => Kind::Other,
        };
        let mut reader = Reader { bytes, at: HEAD - 4 };
        let fields = reader.number()? as usize;
        let end = HEAD.checked_add(fields).filter(|end| *end <= bytes.len()).ok_or(BusError::Malformed)?;
        let text = String::new;
        let mut message = Self {
            kind,
            reply_to: None,
            sender: text(),
            member: text(),
            error: text(),
            signature: text(),
            body: bytes.get(end.next_multiple_of(8)..).unwrap_or_default().to_vec(),
        };
        let mut reader = Reader { bytes: &bytes[..end], at: HEAD };
        while reader.at < end {
            reader.align(8);
            message.take_field(&mut reader)?;
        }
        Ok(message)
    }

    fn take_field(&mut self, reader: &mut Reader<'_>) -> Result<(), BusError> {
        let code = reader.byte()?;
        match (reader.signature()?, code) {
            ("u", REPLY_SERIAL) => self.reply_to = Some(reader.number()?),
            ("u", _) => drop(reader.number()?),
            ("g", SIGNATURE) => reader.signature()?.clone_into(&mut self.signature),
            ("g", _) => drop(reader.signature()?),
            ("s" | "o", code) => {
                let text = reader.text()?;
                match code {
                    SENDER => text.clone_into(&mut self.sender),
                    MEMBER => text.clone_into(&mut self.member),
                    ERROR_NAME => text.clone_into(&mut self.error),
                    _ => {}
                }
            }
            _ => return Err(BusError::Malformed),
        }
        Ok(())
    }

    /// The body, when its types are these.
    pub(crate) fn body(&self, signature: &str) -> Result<Reader<'_>, BusError> {
        if self.signature == signature { Ok(self.any_body()) } else { Err(BusError::Malformed) }
    }

    /// The words of an error, which has them as its first value.
    pub(crate) fn words(&self) -> String {
        if !self.signature.starts_with('s') {
            return String::new();
        }
        self.any_body().text().unwrap_or_default().to_owned()
    }

    fn any_body(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0 }
    }
}

/// Takes values from bytes, one after the other.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], BusError> {
        let end = self.at.checked_add(count).ok_or(BusError::Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(BusError::Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BusError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u32, BusError> {
        self.align(4);
        let bytes = self.take(4)?.try_into().map_err(|_| BusError::Malformed)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, BusError> {
        let length = self.number()? as usize;
        self.ended(length)
    }

    fn signature(&mut self) -> Result<&'b str, BusError> {
        let length = usize::from(self.byte()?);
        self.ended(length)
    }

    /// So many bytes of text and the NUL behind them.
    fn ended(&mut self, length: usize) -> Result<&'b str, BusError> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| BusError::Malformed)?;
        if self.byte()? == 0 { Ok(text) } else { Err(BusError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: Object = Object { name: "a.b", path: "/c", interface: "d.e" };

    /// A call is a message like any other, but for its kind.
    fn signal(body: &Body) -> Vec<u8> {
        let mut bytes = call(7, OBJECT, "Ended", body);
        bytes[1] = 4;
        bytes
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = signal(&Body::default().text("one").text("two"));
        let head = bytes[..HEAD].try_into().expect("a head");
        assert_eq!(total(&head).expect("a length"), bytes.len());
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!((message.kind, message.member.as_str(), message.reply_to), (Kind::Signal, "Ended", None));
        let mut body = message.body("ss").expect("two texts");
        assert_eq!((body.text().expect("the first"), body.text().expect("the second")), ("one", "two"));
        assert!(body.text().is_err(), "there is no third");
        assert!(message.body("u").is_err(), "no number");
    }

    #[test]
    fn what_is_cut_off_or_changed_is_refused_or_read_but_never_a_panic() {
        let bytes = signal(&Body::default().text("one"));
        for end in 0..bytes.len() {
            let _ = Message::parse(&bytes[..end]).map(|message| message.words());
        }
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                let _ = total(&changed[..HEAD].try_into().expect("a head"));
                let _ = Message::parse(&changed).map(|message| message.words());
            }
        }
    }

    #[test]
    fn a_message_without_end_is_refused_before_it_is_read() {
        let mut head: [u8; HEAD] = signal(&Body::default())[..HEAD].try_into().expect("a head");
        head[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(total(&head), Err(BusError::Malformed)));
    }
}
