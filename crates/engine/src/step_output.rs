//! The output of a step of a build, from its shim to the client of the build.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use builder::OutputStream;
use images::registry::Cancellation;
use shim_protocol::log::Stream;

use crate::streams::Frames;

/// How often a step without output checks that its client is still connected.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The bytes that are read at once.
const PIECE: usize = 32 * 1024;

/// Why no more output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputEnd {
    /// There is no more.
    Over,
    /// No client waits for it: the step is to be killed.
    Cancelled,
}

/// Passes a step's output on as it comes.
///
/// # Errors
/// What the socket fails with.
pub(crate) fn show(
    mut socket: &UnixStream,
    output: &mut dyn FnMut(OutputStream, &[u8]),
    cancellation: &Cancellation,
) -> io::Result<OutputEnd> {
    socket.set_read_timeout(Some(POLL_INTERVAL))?;
    let mut frames = Frames::default();
    let mut show = |stream, text: &[u8]| match stream {
        Stream::Stdout => output(OutputStream::Stdout, text),
        Stream::Stderr => output(OutputStream::Stderr, text),
    };
    let mut piece = vec![0; PIECE];
    loop {
        if cancellation.is_cancelled() {
            return Ok(OutputEnd::Cancelled);
        }
        match socket.read(&mut piece) {
            Ok(0) => return Ok(OutputEnd::Over),
            Ok(count) => frames.push(&piece[..count], &mut show),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}
