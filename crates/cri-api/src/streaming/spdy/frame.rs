//! SPDY/3.1's frames, as far as streams of containers need them.
//!
//! ```text
//! control  1 | version 15 | type 16 | flags 8 | length 24 | …
//! data     0 | stream 31           | flags 8 | length 24 | …
//! ```

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::streaming::stream::PIECE;

/// The version of control frames.
const VERSION: u16 = 3;
/// The flag of the last frame of a side of a stream.
const FIN: u8 = 1;
/// No control frame of ours or of a client's is longer, in bytes.
const CONTROL_LIMIT: usize = 64 << 10;

/// A frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// It opens a stream.
    Open {
        stream: u32,
        /// The compressed headers.
        block: Vec<u8>,
        /// It sends nothing on it.
        ends: bool,
    },
    /// Bytes of a stream, a chunk at most; they may be the last.
    Data { stream: u32, bytes: Vec<u8>, ends: bool },
    /// It gives up a stream.
    Reset { stream: u32 },
    /// It requests an answer with this number.
    Ping(u32),
    /// It opens no stream any more.
    GoAway,
    /// Headers that follow an open stream's: they change the state of the compression.
    Headers { block: Vec<u8> },
    /// Windows and settings: data are sent as fast as the connection takes them.
    Other,
}

/// Reads the frames of a connection. Data come in chunks: a frame is not held as a whole.
pub(super) struct Frames<C> {
    connection: C,
    /// The rest of a frame of data.
    rest: Option<Rest>,
}

/// The part of a frame of data that was not read yet.
#[derive(Clone, Copy)]
struct Rest {
    stream: u32,
    length: usize,
    ends: bool,
}

impl<C: AsyncRead + Unpin> Frames<C> {
    /// Reads from a connection.
    pub(super) const fn new(connection: C) -> Self {
        Self { connection, rest: None }
    }

    /// The next frame, or the next chunk of one of data; `None` at the connection's end. What it has read is lost when it is
    /// dropped in between.
    ///
    /// # Errors
    /// The connection's, and malformed frames.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        if let Some(rest) = self.rest.take() {
            return self.piece(rest).await.map(Some);
        }
        let mut head = [0; 8];
        match self.connection.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        let [a, b, c, d, flags, x, y, z] = head;
        let length = usize::from(x) << 16 | usize::from(y) << 8 | usize::from(z);
        let ends = flags & FIN != 0;
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            return self.piece(Rest { stream, length, ends }).await.map(Some);
        }
        if length > CONTROL_LIMIT {
            return Err(io::Error::other("a frame is too long"));
        }
        if u16::from_be_bytes([a & 0x7f, b]) != VERSION {
            return Err(io::Error::other("a frame is of another version of SPDY"));
        }
        let content = self.content(length).await?;
        control(u16::from_be_bytes([c, d]), &content, ends).map(Some)
    }

    async fn piece(&mut self, rest: Rest) -> io::Result<Frame> {
        let Rest { stream, length, ends } = rest;
        let bytes = self.content(length.min(PIECE)).await?;
        let length = length - bytes.len();
        self.rest = (length > 0).then_some(Rest { length, ..rest });
        Ok(Frame::Data { stream, bytes, ends: ends && length == 0 })
    }

    async fn content(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; length];
        self.connection.read_exact(&mut content).await?;
        Ok(content)
    }
}

fn control(kind: u16, content: &[u8], ends: bool) -> io::Result<Frame> {
    let short = || io::Error::other("a frame is too short");
    let number = |at: usize| -> io::Result<u32> {
        let digits = content.get(at..at + 4).and_then(|digits| digits.try_into().ok()).ok_or_else(short)?;
        Ok(u32::from_be_bytes(digits) & 0x7fff_ffff)
    };
    let behind = |at: usize| content.get(at..).map(<[u8]>::to_vec).ok_or_else(short);
    Ok(match kind {
        // SYN_STREAM: the stream, the one it belongs to, priority and slot.
        1 => Frame::Open { stream: number(0)?, block: behind(10)?, ends },
        3 => Frame::Reset { stream: number(0)? },
        6 => Frame::Ping(u32::from_be_bytes(content.try_into().map_err(|_| short())?)),
        7 => Frame::GoAway,
        8 => Frame::Headers { block: behind(4)? },
        _ => Frame::Other,
    })
}

/// A frame of data.
pub(super) fn data(stream: u32, bytes: &[u8], ends: bool) -> Vec<u8> {
    let mut frame = stream.to_be_bytes().to_vec();
    frame.push(u8::from(ends) * FIN);
    push_length(&mut frame, bytes.len());
    frame.extend_from_slice(bytes);
    frame
}

/// The answer to an opened stream.
pub(super) fn reply(stream: u32, block: &[u8]) -> Vec<u8> {
    written(2, &[&stream.to_be_bytes()[..], block].concat())
}

/// A stream that is refused: REFUSED_STREAM.
pub(super) fn refusal(stream: u32) -> Vec<u8> {
    written(3, &[stream.to_be_bytes(), 3_u32.to_be_bytes()].concat())
}

/// The answer to a ping.
pub(super) fn pong(number: u32) -> Vec<u8> {
    written(6, &number.to_be_bytes())
}

fn written(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut frame = (0x8000 | VERSION).to_be_bytes().to_vec();
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.push(0);
    push_length(&mut frame, content.len());
    frame.extend_from_slice(content);
    frame
}

fn push_length(frame: &mut Vec<u8>, length: usize) {
    let [.., a, b, c] = length.to_be_bytes();
    frame.extend_from_slice(&[a, b, c]);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> io::Result<Vec<Frame>> {
        let (mut reader, mut frames) = (Frames::new(bytes), Vec::new());
        while let Some(frame) = reader.next().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn data_come_in_pieces() {
        let sent = vec![7; 2 * PIECE + 1];
        let frames = read_all(&data(5, &sent, true)).await.expect("frames");
        let piece = |length: usize, ends| Frame::Data { stream: 5, bytes: vec![7; length], ends };
        assert_eq!(frames, [piece(PIECE, false), piece(PIECE, false), piece(1, true)]);
    }

    #[tokio::test]
    async fn frames_are_read_as_they_are_written() {
        let open = [&[0x80, 3, 0, 1, 1, 0, 0, 12, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0][..], b"hh"].concat();
        let all = [open, data(5, b"bytes", true), pong(9), written(9, &[0; 8]), written(7, &[0; 8])].concat();
        let frames = read_all(&all).await.expect("frames");
        assert_eq!(
            frames,
            [
                Frame::Open { stream: 5, block: b"hh".to_vec(), ends: true },
                Frame::Data { stream: 5, bytes: b"bytes".to_vec(), ends: true },
                Frame::Ping(9),
                Frame::Other,
                Frame::GoAway,
            ]
        );
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_the_connection() {
        for bad in [
            &[0x80, 2, 0, 1, 0, 0, 0, 0][..],
            &[0x80, 3, 0, 1, 0, 0, 0, 2, 0, 0],
            &[0x80, 3, 0, 6, 0, 255, 255, 255],
        ] {
            assert!(read_all(bad).await.is_err(), "{bad:?}");
        }
    }
}
