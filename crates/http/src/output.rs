//! Writes a response: the head, then a body of known length, in chunks, or up to the connection's end.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, Version};

use super::{Response, Transport, date};

/// The properties of the request that decide the response's form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) version: Version,
    /// The request was HEAD: no body, whatever the response's head announces.
    pub(super) head_only: bool,
    pub(super) keep_alive: bool,
}

/// The bytes around a chunk: its size in hexadecimal digits, and two line ends.
const CHUNK_FRAME: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was sent.
    Waiting,
    /// The body goes out in chunks.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
    /// The body is not sent at all.
    Bodiless,
    /// All is sent.
    Complete,
    /// A write failed, or the body is incomplete.
    Broken,
}

/// Writes one answer.
#[derive(Debug)]
pub struct Output {
    transport: Arc<Transport>,
    common: Arc<str>,
    form: Form,
    state: State,
}

impl Output {
    pub(super) const fn new(transport: Arc<Transport>, common: Arc<str>, form: Form) -> Self {
        Self { transport, common, form, state: State::Waiting }
    }

    /// Whether the head is out.
    pub fn has_begun(&self) -> bool {
        self.state != State::Waiting
    }

    /// Whether the answer is out as a whole and the connection may go on.
    pub(super) fn is_reusable(&self) -> bool {
        self.state == State::Complete && self.form.keep_alive
    }

    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken | State::Chunked)
    }

    /// Ends the connection after this answer.
    pub(super) const fn give_up_keep_alive(&mut self) {
        self.form.keep_alive = false;
    }

    /// Sends a whole answer.
    pub(super) async fn send(&mut self, response: &Response) -> io::Result<()> {
        let mut head = self.head(response.status, &response.headers);
        let bodiless = bodiless(response.status);
        if !bodiless {
            let _ = write!(head, "Content-Length: {}\r\n", response.body.len());
        }
        self.end_head(&mut head);
        let body: &[u8] = if bodiless || self.form.head_only { &[] } else { &response.body };
        self.write_raw(&[head.as_bytes(), body]).await?;
        self.state = State::Complete;
        Ok(())
    }

    /// Sends the head of a response whose body follows in parts.
    pub async fn begin(
        &mut self,
        status: StatusCode,
        headers: &[(HeaderName, HeaderValue)],
    ) -> io::Result<()> {
        let mut head = self.head(status, headers);
        let state = if self.form.head_only || bodiless(status) {
            State::Bodiless
        } else if self.form.version == Version::HTTP_11 {
            head.push_str("Transfer-Encoding: chunked\r\n");
            State::Chunked
        } else {
            self.form.keep_alive = false;
            State::UntilClose
        };
        self.end_head(&mut head);
        self.write_raw(&[head.as_bytes()]).await?;
        self.state = state;
        Ok(())
    }

    /// Sends a part of the body at once.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self.state {
            _ if piece.is_empty() => Ok(()),
            State::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                self.write_raw(&[size.as_bytes(), piece, b"\r\n"]).await
            }
            State::UntilClose => self.write_raw(&[piece]).await,
            State::Bodiless => Ok(()),
            State::Waiting | State::Complete | State::Broken => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends parts of the body at once, each as a chunk of its own; empty ones are left out.
    ///
    /// # Errors
    /// When the client is gone, or the response has not begun.
    pub async fn write_each(&mut self, pieces: &[Vec<u8>]) -> io::Result<()> {
        let State::Chunked = self.state else { return self.write(&pieces.concat()).await };
        let mut chunks = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + CHUNK_FRAME).sum());
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunks.extend_from_slice(piece);
            chunks.extend_from_slice(b"\r\n");
        }
        if chunks.is_empty() { Ok(()) } else { self.write_raw(&[&chunks]).await }
    }

    /// Ends the body. Without this call the client sees that it is incomplete.
    pub async fn finish(&mut self) -> io::Result<()> {
        if self.state == State::Chunked {
            self.write_raw(&[b"0\r\n\r\n"]).await?;
        }
        if self.state != State::Broken {
            self.state = State::Complete;
        }
        Ok(())
    }

    /// The head after which the connection is no longer HTTP; the handler that takes the connection sends it.
    pub(super) fn hijack(&mut self, status_line: &str, fields: &str) -> String {
        self.state = State::Complete;
        self.form.keep_alive = false;
        format!("HTTP/1.1 {status_line}\r\n{fields}{}\r\n", self.common)
    }

    /// Sends such a head, apart from what follows.
    pub(super) async fn send_head(&mut self, head: &str) -> io::Result<()> {
        let before = std::mem::replace(&mut self.state, State::Broken);
        self.transport.write_apart(head.as_bytes()).await?;
        self.state = before;
        Ok(())
    }

    fn head(&self, status: StatusCode, headers: &[(HeaderName, HeaderValue)]) -> String {
        let reason = status.canonical_reason().unwrap_or("Unknown");
        let mut head = String::with_capacity(512);
        let _ = write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_u16());
        for (name, value) in headers {
            let _ =
                write!(head, "{}: {}\r\n", Titled(name.as_str()), String::from_utf8_lossy(value.as_bytes()));
        }
        let _ = write!(head, "{}Date: {}\r\n", self.common, date::now());
        head
    }

    fn end_head(&self, head: &mut String) {
        if !self.form.keep_alive {
            head.push_str("Connection: close\r\n");
        } else if self.form.version == Version::HTTP_10 {
            head.push_str("Connection: keep-alive\r\n");
        }
        head.push_str("\r\n");
    }

    async fn write_raw(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        let before = std::mem::replace(&mut self.state, State::Broken);
        let mut slices = [IoSlice::new(&[]), IoSlice::new(&[]), IoSlice::new(&[])];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        self.transport.write_all(&mut slices).await?;
        self.state = before;
        Ok(())
    }
}

/// Answers that never have a body, RFC 9110 section 6.4.1.
fn bodiless(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// A field name in the customary capitals, for clients that compare by case.
struct Titled<'a>(&'a str);

impl std::fmt::Display for Titled<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut at_start = true;
        for letter in self.0.chars() {
            formatter.write_char(if at_start { letter.to_ascii_uppercase() } else { letter })?;
            at_start = letter == '-';
        }
        Ok(())
    }
}
