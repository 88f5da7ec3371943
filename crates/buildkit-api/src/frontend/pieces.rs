//! Bytes that arrive in buffers, for blocking work that reads them.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Buffers on the way.
const DEPTH: usize = 8;

/// A sender of buffers, and their reader: an empty buffer is the end, and without one the client has left.
pub(super) fn pieces() -> (mpsc::Sender<io::Result<Bytes>>, PieceReader) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    (sender, PieceReader { pieces, current: Bytes::new(), is_over: false })
}

/// The blocking reader of what arrives.
pub(super) struct PieceReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    is_over: bool,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_over {
            match self.pieces.blocking_recv() {
                Some(piece) => {
                    self.current = piece?;
                    self.is_over = self.current.is_empty();
                }
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client left")),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
