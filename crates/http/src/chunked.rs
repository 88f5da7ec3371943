//! The chunked transfer coding's decoder, RFC 9112 section 7.1: bytes in, parts of the body out. No I/O.

use bytes::{Buf, Bytes, BytesMut};

/// Longest line that states a chunk's size, extensions included.
const MAXIMUM_SIZE_LINE: usize = 4096;
/// Most bytes of all trailer fields together.
const MAXIMUM_TRAILERS: usize = 16 * 1024;

/// The body breaks the coding's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A size is missing, no hexadecimal number, or too large.
    #[error("malformed chunk size")]
    Size,
    /// A chunk is not followed by CR LF.
    #[error("chunk is longer than its size says")]
    End,
    /// The trailer section is too large.
    #[error("chunked trailers are too large")]
    Trailers,
}

/// The outcome of one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A part of the body, never empty.
    Data(Bytes),
    /// The buffer holds no complete item.
    NeedMore,
    /// The body is over; what is left in the buffer follows it.
    End,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size,
    Data(u64),
    AfterData,
    Trailers { seen: usize },
    End,
}

/// Decodes one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkedDecoder(State);

impl ChunkedDecoder {
    pub(crate) const fn new() -> Self {
        Self(State::Size)
    }

    /// Takes the next part out of the buffer.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, ChunkError> {
        loop {
            match self.0 {
                State::Size => match take_line(buffer, MAXIMUM_SIZE_LINE).map_err(|()| ChunkError::Size)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(line) => {
                        let size = parse_size(&line).ok_or(ChunkError::Size)?;
                        self.0 = if size == 0 { State::Trailers { seen: 0 } } else { State::Data(size) };
                    }
                },
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Decoded::NeedMore);
                    }
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    let rest = left - length as u64;
                    self.0 = if rest == 0 { State::AfterData } else { State::Data(rest) };
                    return Ok(Decoded::Data(buffer.split_to(length).freeze()));
                }
                State::AfterData => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.0 = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Decoded::NeedMore),
                    _ => return Err(ChunkError::End),
                },
                State::Trailers { seen } => {
                    let left = MAXIMUM_TRAILERS.saturating_sub(seen);
                    match take_line(buffer, left).map_err(|()| ChunkError::Trailers)? {
                        None => return Ok(Decoded::NeedMore),
                        Some(line) if line.is_empty() => self.0 = State::End,
                        Some(line) => self.0 = State::Trailers { seen: seen + line.len() + 2 },
                    }
                }
                State::End => return Ok(Decoded::End),
            }
        }
    }
}

/// Takes a line without its ending; an error when it is longer than `maximum`.
fn take_line(buffer: &mut BytesMut, maximum: usize) -> Result<Option<Bytes>, ()> {
    let Some(end) = buffer.iter().take(maximum.saturating_add(1)).position(|byte| *byte == b'\n') else {
        return if buffer.len() > maximum { Err(()) } else { Ok(None) };
    };
    let mut line = buffer.split_to(end + 1);
    line.truncate(end);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line.freeze()))
}

fn parse_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in slices of the given size and collects body and rest.
    fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, bool, Vec<u8>), ChunkError> {
        let (mut decoder, mut buffer, mut body) = (ChunkedDecoder::new(), BytesMut::new(), Vec::new());
        let mut pieces = input.chunks(piece);
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::End => {
                    buffer.extend(pieces.flatten().copied());
                    return Ok((body, true, buffer.to_vec()));
                }
                Decoded::NeedMore => match pieces.next() {
                    Some(bytes) => buffer.extend_from_slice(bytes),
                    None => return Ok((body, false, buffer.to_vec())),
                },
            }
        }
    }

    #[test]
    fn bodies_in_any_split() {
        let input = b"4\r\nWiki\r\n6;x=y\r\npedia \r\nA \r\n0123456789\r\n0\r\nTrailer: v\r\n\r\nNEXT";
        for piece in 1..=input.len() {
            let whole = (b"Wikipedia 0123456789".to_vec(), true, b"NEXT".to_vec());
            assert_eq!(decode(input, piece), Ok(whole), "pieces of {piece}");
        }
    }

    #[test]
    fn unfinished_bodies_want_more() {
        for input in ["", "5", "5\r\nab", "5\r\nabcde", "5\r\nabcde\r\n", "0\r\n", "0\r\nA: b\r\n"] {
            assert!(matches!(decode(input.as_bytes(), 1), Ok((_, false, _))), "{input:?}");
        }
    }

    #[test]
    fn broken_bodies_are_errors() {
        for (input, error) in [
            ("x\r\n", ChunkError::Size),
            ("\r\n", ChunkError::Size),
            ("-1\r\n", ChunkError::Size),
            ("0x5\r\nabcde\r\n", ChunkError::Size),
            ("fffffffffffffffff\r\n", ChunkError::Size),
            ("3\r\nabcde\r\n", ChunkError::End),
            ("3\r\nabc\nx", ChunkError::End),
        ] {
            assert_eq!(decode(input.as_bytes(), 3), Err(error), "{input:?}");
        }
        let long = format!("5;{}\r\n", "x".repeat(MAXIMUM_SIZE_LINE));
        assert_eq!(decode(long.as_bytes(), 100), Err(ChunkError::Size));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(MAXIMUM_TRAILERS / 5));
        assert_eq!(decode(trailers.as_bytes(), 1000), Err(ChunkError::Trailers));
    }
}
