//! A small HTTP/1.1 client on a plain socket; nothing is hidden, every byte can be held back.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use crate::address::{Address, Stream};

/// How long a read waits before it fails: longer than the engine, or a step of a build, may be silent on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(240);

/// A connection with what has been read from it and not been used yet.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
}

/// The first lines of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The text behind the status code.
    pub reason: String,
    /// Names as they came, and values.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What marks the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    UntilClose,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Those of `connect(2)`.
    pub fn open(address: &Address) -> io::Result<Self> {
        let stream = address.connect()?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::new(), start: 0 })
    }

    /// Changes how long a read waits.
    ///
    /// # Errors
    /// When the duration is zero.
    pub fn set_timeout(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the peer has gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the writing direction.
    ///
    /// # Errors
    /// When the peer has gone.
    pub fn half_close(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// A second handle of the socket.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn writer(&self) -> io::Result<Stream> {
        self.stream.try_clone()
    }

    /// Writes a request's head and body; a body brings its `Content-Length`.
    ///
    /// # Errors
    /// When the peer has gone.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        });
        if !framed && (!body.is_empty() || method == "POST" || method == "PUT") {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes)
    }

    /// Reads up to the blank line behind the headers; interim answers (100) are passed over.
    ///
    /// # Errors
    /// When the connection ends before, or what comes is not HTTP.
    pub fn read_head(&mut self) -> io::Result<Head> {
        loop {
            let line = self.read_line()?;
            let mut words = line.splitn(3, ' ');
            let version = words.next().unwrap_or_default();
            let status = words.next().and_then(|word| word.parse().ok());
            let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
                return Err(malformed(format!("not a status line: {line:?}")));
            };
            let reason = words.next().unwrap_or_default().to_owned();
            let mut headers = Vec::new();
            loop {
                let line = self.read_line()?;
                if line.is_empty() {
                    break;
                }
                let (name, value) =
                    line.split_once(':').ok_or_else(|| malformed(format!("not a header: {line:?}")))?;
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            if status != 100 {
                return Ok(Head { status, reason, headers });
            }
        }
    }

    /// Reads the body that belongs to a head.
    ///
    /// # Errors
    /// When the connection ends too early or a chunk is malformed.
    pub fn read_body(&mut self, method: &str, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match framing(method, head) {
            Framing::Empty => {}
            Framing::Length(length) => body = self.read_exactly(length)?,
            Framing::Chunked => {
                while let Some(chunk) = self.read_chunk()? {
                    body.extend_from_slice(&chunk);
                }
            }
            Framing::UntilClose => body = self.read_to_end()?,
        }
        Ok(body)
    }

    /// Reads one chunk of a chunked body; none when it is over.
    ///
    /// # Errors
    /// When the connection ends too early or the chunk is malformed.
    pub fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| malformed(format!("not a chunk's size: {line:?}")))?;
        if size == 0 {
            while !self.read_line()?.is_empty() {}
            return Ok(None);
        }
        let chunk = self.read_exactly(size)?;
        if self.read_exactly(2)? != b"\r\n" {
            return Err(malformed("a chunk does not end with CR LF".to_owned()));
        }
        Ok(Some(chunk))
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When the connection ends before the line does.
    pub fn read_line(&mut self) -> io::Result<String> {
        loop {
            let waiting = &self.buffer[self.start..];
            if let Some(length) = waiting.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&waiting[..length]).trim_end_matches('\r').to_owned();
                self.start += length + 1;
                return Ok(line);
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.start < length {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let bytes = self.buffer[self.start..self.start + length].to_vec();
        self.start += length;
        Ok(bytes)
    }

    /// Reads what there is, at least one byte; nothing at the end of the stream.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.start == self.buffer.len() {
            self.fill()?;
        }
        let bytes = self.buffer.split_off(self.start);
        self.buffer.clear();
        self.start = 0;
        Ok(bytes)
    }

    /// Reads until the peer ends the stream.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        self.read_some()
    }

    /// Reads until the bytes looked for have come; gives all that came.
    ///
    /// # Errors
    /// When the stream ends or nothing comes in time.
    pub fn read_until(&mut self, wanted: &[u8]) -> io::Result<Vec<u8>> {
        let mut seen = Vec::new();
        while !contains(&seen, wanted) {
            let bytes = self.read_some()?;
            if bytes.is_empty() {
                let text = String::from_utf8_lossy(&seen).into_owned();
                return Err(malformed(format!("the stream ended; it held {text:?}")));
            }
            seen.extend_from_slice(&bytes);
        }
        Ok(seen)
    }

    /// Takes more from the socket into the buffer; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + 65_536, 0);
        let outcome = loop {
            match self.stream.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.buffer.truncate(length + *outcome.as_ref().unwrap_or(&0));
        Ok(outcome? > 0)
    }
}

/// How the body behind a head ends (RFC 9112, section 6.3).
fn framing(method: &str, head: &Head) -> Framing {
    let chunked = head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = head.header("content-length").and_then(|value| value.parse().ok());
    if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        Framing::Empty
    } else if chunked {
        Framing::Chunked
    } else {
        length.map_or(Framing::UntilClose, Framing::Length)
    }
}

/// Whether a sequence of bytes holds another.
#[must_use]
pub fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn malformed(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
