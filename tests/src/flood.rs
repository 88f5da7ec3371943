//! Sends more than a peer takes.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// A peer that reads nothing for so long reads no more.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a frame over and over, until so many bytes are sent or the peer reads no more; returns the bytes that it
/// read.
pub(crate) fn flood(connection: &mut TcpStream, frame: &[u8], most: usize) -> usize {
    connection.set_write_timeout(Some(TIMEOUT)).expect("a socket");
    let mut sent = 0;
    while sent < most {
        match connection.write(&frame[sent % frame.len()..]) {
            Ok(count @ 1..) => sent += count,
            Ok(0) | Err(_) => return sent,
        }
    }
    sent
}
