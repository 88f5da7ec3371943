//! Decompresses zstd streams, and counts the memory that their windows take.

use std::io::{self, BufRead, Read};

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use crate::archive_memory::Share;

/// The largest window that a stream may require: 64 MiB, eight times what RFC 8878 (3.1.1.1.2) recommends to support.
const WINDOW_LOG_LIMIT: u32 = 26;

/// The plain bytes of a zstd stream of any number of frames.
pub(crate) struct ZstdReader<R> {
    input: R,
    context: DCtx<'static>,
    /// Bytes that the decoder still needs of the frame, about; 0 at its end.
    wanted: usize,
    share: Share,
}

impl<R: BufRead> ZstdReader<R> {
    /// Reads from `input`.
    ///
    /// # Errors
    /// When there is no memory for a decoder.
    pub(crate) fn new(input: R) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_LIMIT)).map_err(failed)?;
        Ok(Self { input, context, wanted: 0, share: Share::default() })
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let has_room = !buffer.is_empty();
        let mut output = OutBuffer::around(buffer);
        loop {
            let bytes = self.input.fill_buf()?;
            let is_end = bytes.is_empty();
            let mut input = InBuffer::around(bytes);
            // Also at the end: the decoder may have more than found room before.
            if !is_end || self.wanted > 0 {
                self.wanted = self.context.decompress_stream(&mut output, &mut input).map_err(failed)?;
            }
            let consumed = input.pos;
            self.input.consume(consumed);
            // The window is there now, but what nothing was written to takes no memory yet.
            self.share.raise_to(self.context.sizeof()).map_err(io::Error::other)?;
            if output.pos() > 0 || !has_room {
                return Ok(output.pos());
            }
            if is_end {
                return if self.wanted == 0 { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        ZstdReader::new(bytes)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn frames_follow_each_other_and_are_whole() {
        let compress = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
        let large = vec![7; 1 << 20];
        let both = [compress(b"first "), compress(b""), compress(&large)].concat();
        let want = [b"first ".as_slice(), &large].concat();
        assert!(plain(&both).expect("two frames and an empty one") == want);
        for cut in [1, both.len() / 2, both.len() - 1] {
            let error = plain(&both[..cut]).expect_err("a frame that is cut off");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
        assert_eq!(plain(b"").expect("nothing"), b"");
        assert!(plain(b"rubbish, no frame").is_err());
    }

    #[test]
    fn windows_have_a_limit() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(27).expect("a window");
        std::io::Write::write_all(&mut encoder, &[1; 1000]).expect("memory");
        let error = plain(&encoder.finish().expect("memory")).expect_err("a window that is too large");
        assert!(error.to_string().contains("Frame requires too much memory"), "{error}");
    }
}
