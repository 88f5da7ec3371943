//! The protocol's number, and reading messages of a side that is older or newer than this one.
//!
//! Protocol 1 is that of releases without a number: no [`Notice::Hello`], no [`Request::Hello`], and a packet
//! that the shim cannot read ends the connection. From 2 on the shim's first packet on every connection is
//! its number, a daemon's first packet is its own, and the answer to an unknown request is
//! [`FailureKind::Unsupported`]. From 7 on messages longer than a packet are sent in fragments.
//!
//! [`Request::Hello`]: crate::Request::Hello
//! [`FailureKind::Unsupported`]: crate::FailureKind::Unsupported

use serde::Deserialize;

use crate::{Envelope, Notice};

/// The protocol of this release. It grows with every message that an older side cannot read.
pub const PROTOCOL: u32 = 8;

/// The protocol of a side that sends no number.
pub const UNNUMBERED: u32 = 1;

/// A packet as far as it could be read.
#[derive(Debug)]
pub enum Received<T> {
    /// A message of this protocol.
    Known(T),
    /// A request that is unknown to this release, or a reply with unknown content.
    Unknown {
        /// The request's number.
        number: u64,
    },
    /// Anything else.
    Unreadable(serde_json::Error),
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

#[derive(Deserialize)]
struct AnyReply {
    reply: Numbered,
}

impl Envelope {
    /// Reads a daemon's packet.
    #[must_use]
    pub fn read(packet: &[u8]) -> Received<Self> {
        match serde_json::from_slice(packet) {
            Ok(envelope) => Received::Known(envelope),
            Err(error) => match serde_json::from_slice(packet) {
                Ok(Numbered { number }) => Received::Unknown { number },
                Err(_) => Received::Unreadable(error),
            },
        }
    }
}

impl Notice {
    /// Reads a shim's packet.
    #[must_use]
    pub fn read(packet: &[u8]) -> Received<Self> {
        match serde_json::from_slice(packet) {
            Ok(notice) => Received::Known(notice),
            Err(error) => match serde_json::from_slice(packet) {
                Ok(AnyReply { reply: Numbered { number } }) => Received::Unknown { number },
                Err(_) => Received::Unreadable(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureKind, Request};

    #[test]
    fn an_unknown_request_keeps_its_number() {
        let unknown = Envelope::read(br#"{"number":7,"request":{"checkpoint":{"to":"/x"}}}"#);
        assert!(matches!(unknown, Received::Unknown { number: 7 }), "{unknown:?}");
        let unreadable = Envelope::read(b"\x7fELF");
        assert!(matches!(unreadable, Received::Unreadable(_)), "{unreadable:?}");
        let known = Envelope::read(br#"{"number":8,"request":"statistics"}"#);
        assert!(
            matches!(known, Received::Known(Envelope { number: 8, request: Request::Statistics })),
            "{known:?}"
        );
    }

    #[test]
    fn a_reply_with_unknown_content_keeps_its_number() {
        let unknown = Notice::read(br#"{"reply":{"number":9,"result":{"Ok":{"checkpointed":1}}}}"#);
        assert!(matches!(unknown, Received::Unknown { number: 9 }), "{unknown:?}");
        let unreadable = Notice::read(br#"{"checkpointed":{"at":1}}"#);
        assert!(matches!(unreadable, Received::Unreadable(_)), "{unreadable:?}");
    }

    #[test]
    fn a_failure_of_an_unknown_kind_is_read() {
        let text = br#"{"reply":{"number":3,"result":{"Err":{"kind":"too_cold","message":"m"}}}}"#;
        let Received::Known(Notice::Reply { result: Err(failure), .. }) = Notice::read(text) else {
            panic!("it is a reply");
        };
        assert_eq!(failure.kind, FailureKind::Unknown);
    }
}
