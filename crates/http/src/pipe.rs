//! Between a connection's task and work on a blocking thread: bounded pipes of bytes, each way.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

/// Buffers on the way; with their sizes this bounds what is buffered to about 1 MiB.
const DEPTH: usize = 8;
/// Small writes are gathered up to this size.
const WRITE_SIZE: usize = 128 * 1024;

/// The blocking reader of what the connection's task sends. Its end is an error when the client left.
#[derive(Debug)]
pub struct PipeReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    ended: bool,
}

/// A pipe from the connection's task to a blocking reader. A body that ends well sends an empty buffer.
pub fn reader_pipe() -> (mpsc::Sender<io::Result<Bytes>>, PipeReader) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    (sender, PipeReader { pieces, current: Bytes::new(), ended: false })
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    self.current = piece;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client left")),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// The blocking writer to the connection's task. Writing fails with `BrokenPipe` once the client left.
#[derive(Debug)]
pub struct PipeWriter {
    pieces: mpsc::Sender<Bytes>,
    gathered: BytesMut,
}

/// A pipe from a blocking writer to the connection's task.
pub fn writer_pipe() -> (PipeWriter, mpsc::Receiver<Bytes>) {
    let (pieces, receiver) = mpsc::channel(DEPTH);
    (PipeWriter { pieces, gathered: BytesMut::new() }, receiver)
}

impl PipeWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.gathered).freeze();
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(WRITE_SIZE.max(bytes.len()));
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= WRITE_SIZE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        // The receiver is gone, so a failure cannot be reported.
        let _ = self.send();
    }
}
