//! A writer for blocking work whose data an asynchronous task takes.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// Buffers on the way.
const DEPTH: usize = 8;
/// Small writes are gathered up to this size.
const PIECE: usize = 128 * 1024;

/// The blocking end. Writing fails once the other end is gone.
#[derive(Debug)]
pub(super) struct PieceWriter {
    pieces: mpsc::Sender<Bytes>,
    gathered: BytesMut,
}

/// A writer, and the receiver of its data.
pub(super) fn piece_writer() -> (PieceWriter, mpsc::Receiver<Bytes>) {
    let (pieces, receiver) = mpsc::channel(DEPTH);
    (PieceWriter { pieces, gathered: BytesMut::new() }, receiver)
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = self.gathered.split().freeze();
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
