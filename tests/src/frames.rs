//! The multiplexed stream of attach, logs and exec: frames with a header of eight bytes.

use std::io;

use crate::http::Connection;

/// The container's stream of a frame.
pub const STDOUT: u8 = 1;
/// The stream of errors.
pub const STDERR: u8 = 2;

/// Reads one frame: its stream and its bytes; none at the end.
///
/// # Errors
/// When the stream ends inside a frame or a header is malformed.
pub fn read_frame(connection: &mut Connection) -> io::Result<Option<(u8, Vec<u8>)>> {
    let head = match connection.read_exactly(8) {
        Ok(head) => head,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let rest = connection.read_some().unwrap_or_default();
            return if rest.is_empty() { Ok(None) } else { Err(error) };
        }
        Err(error) => return Err(error),
    };
    let (stream, length) = parse(&head)?;
    Ok(Some((stream, connection.read_exactly(length)?)))
}

/// Takes a whole multiplexed body apart: what was on stdout, what on stderr.
///
/// # Panics
/// When a header is malformed or the body ends inside a frame.
#[must_use]
pub fn split(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        assert!(bytes.len() >= 8, "the stream ends inside a frame's header: {bytes:?}");
        let (stream, length) = parse(&bytes[..8]).expect("a frame's header");
        assert!(bytes.len() >= 8 + length, "the stream ends inside a frame");
        let target = if stream == STDERR { &mut stderr } else { &mut stdout };
        target.extend_from_slice(&bytes[8..8 + length]);
        bytes = &bytes[8 + length..];
    }
    (stdout, stderr)
}

/// Reads frames until one stream has shown what is looked for; gives that stream's bytes.
///
/// # Errors
/// When the stream ends before.
pub fn read_until(connection: &mut Connection, stream: u8, wanted: &[u8]) -> io::Result<Vec<u8>> {
    let mut seen = Vec::new();
    while !crate::http::contains(&seen, wanted) {
        match read_frame(connection)? {
            Some((found, bytes)) if found == stream => seen.extend_from_slice(&bytes),
            Some(_) => {}
            None => {
                let text = String::from_utf8_lossy(&seen).into_owned();
                return Err(io::Error::other(format!("the stream ended; it held {text:?}")));
            }
        }
    }
    Ok(seen)
}

fn parse(head: &[u8]) -> io::Result<(u8, usize)> {
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    if head[0] > 2 || head[1..4] != [0, 0, 0] {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("not a frame's header: {head:?}")));
    }
    Ok((head[0], usize::try_from(length).map_err(io::Error::other)?))
}
