//! SPDY/3.1's compression of headers: one zlib stream a direction, with a dictionary of the protocol.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::streaming::stream::Headers;

/// A block of headers is not larger when it is decompressed, in bytes.
const LIMIT: usize = 64 << 10;

/// The dictionary's words, each with its length before it (SPDY protocol, draft 3, 2.6.10.1).
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

/// The rest, after the words.
const TAIL: &str = "\
    100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Au\
    thoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidd\
    en404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr Ma\
    y Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag\
    e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicpri\
    vatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary.
fn dictionary() -> Vec<u8> {
    let mut dictionary = Vec::with_capacity(1423);
    for word in WORDS {
        dictionary.extend_from_slice(&length(word));
        dictionary.extend_from_slice(word.as_bytes());
    }
    dictionary.extend_from_slice(TAIL.as_bytes());
    dictionary
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Reads the blocks of one direction.
pub(super) struct Reader(Decompress);

/// Writes the blocks of the other.
pub(super) struct Writer(Compress);

impl Reader {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Reads a block.
    pub(super) fn read(&mut self, block: &[u8]) -> io::Result<Headers> {
        let plain = self.decompress(block)?;
        parse(&plain).ok_or_else(|| io::Error::other("a block of headers is malformed"))
    }

    fn decompress(&mut self, mut block: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(1024);
        loop {
            let (taken, made) = (self.0.total_in(), plain.len());
            let done = self.0.decompress_vec(block, &mut plain, FlushDecompress::Sync);
            block = &block[used(self.0.total_in() - taken)..];
            match done {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(io::Error::other)?;
                }
                Err(error) => return Err(io::Error::other(error)),
                Ok(_) if block.is_empty() && plain.len() < plain.capacity() => return Ok(plain),
                Ok(_) if plain.len() >= LIMIT => {
                    return Err(io::Error::other("a block of headers is too large"));
                }
                Ok(_) if plain.len() == plain.capacity() => plain.reserve(1024),
                Ok(_) if plain.len() == made => {
                    return Err(io::Error::other("a block of headers stops early"));
                }
                Ok(_) => {}
            }
        }
    }
}

/// Counts of one block fit.
fn used(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Writer {
    pub(super) fn new() -> io::Result<Self> {
        let mut compress = Compress::new(Compression::default(), true);
        compress.set_dictionary(&dictionary()).map_err(io::Error::other)?;
        Ok(Self(compress))
    }

    /// Writes a block.
    pub(super) fn write(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&length(text));
            plain.extend_from_slice(text.as_bytes());
        }
        let mut rest = plain.as_slice();
        let mut block = Vec::with_capacity(plain.len() + 64);
        loop {
            let taken = self.0.total_in();
            self.0.compress_vec(rest, &mut block, FlushCompress::Sync).map_err(io::Error::other)?;
            rest = &rest[used(self.0.total_in() - taken)..];
            if rest.is_empty() && block.len() < block.capacity() {
                return Ok(block);
            }
            block.reserve(256);
        }
    }
}

/// Reads the pairs of a block: their number, then each name and value with its length.
fn parse(plain: &[u8]) -> Option<Headers> {
    fn number(plain: &mut &[u8]) -> Option<usize> {
        let (digits, rest) = plain.split_first_chunk::<4>()?;
        *plain = rest;
        usize::try_from(u32::from_be_bytes(*digits)).ok()
    }
    fn text(plain: &mut &[u8]) -> Option<String> {
        let length = number(plain)?;
        let (text, rest) = plain.split_at_checked(length)?;
        *plain = rest;
        String::from_utf8(text.to_vec()).ok()
    }
    let mut plain = plain;
    let count = number(&mut plain)?;
    (0..count).map(|_| Some((text(&mut plain)?.to_ascii_lowercase(), text(&mut plain)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_has_the_bytes_that_are_specified() {
        let dictionary = dictionary();
        assert_eq!(dictionary.len(), 1423);
        assert!(dictionary.starts_with(b"\0\0\0\x07options\0\0\0\x04head"));
        assert!(dictionary.ends_with(b",enq=0."));
    }

    #[test]
    fn blocks_of_one_direction_are_read_in_order() {
        let (mut writer, mut reader) = (Writer::new().expect("a writer"), Reader::new());
        for value in ["error", "stdin", &"x".repeat(5000), ""] {
            let headers = Headers::from([("streamtype".to_owned(), value.to_owned())]);
            let block = writer.write(&headers).expect("a block");
            assert_eq!(reader.read(&block).expect("headers"), headers);
        }
        assert!(Reader::new().read(b"no zlib").is_err());
    }

    #[test]
    fn malformed_blocks_are_refused() {
        assert_eq!(parse(&[0, 0, 0, 0]), Some(Headers::new()));
        for bad in [&[][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 0, 0, 0, 9, b'a'], &[255, 255, 255, 255]] {
            assert_eq!(parse(bad), None);
        }
    }
}
