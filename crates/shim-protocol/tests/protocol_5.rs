//! What protocol 5 added, as bytes. These never change, see `protocol_1.rs`.

use berth_shim_protocol::{Envelope, Received, Request};

const REOPEN_LOG: &str = r#"{"number":6,"request":"reopen_log"}"#;

#[test]
fn opening_a_log_again_is_written_and_read_as_ever() {
    assert_eq!(Request::ReopenLog.since(), 5);
    let written = serde_json::to_string(&Envelope { number: 6, request: Request::ReopenLog });
    assert_eq!(written.unwrap_or_default(), REOPEN_LOG);
    let read = Envelope::read(REOPEN_LOG.as_bytes());
    assert!(matches!(read, Received::Known(Envelope { number: 6, request: Request::ReopenLog })));
}
