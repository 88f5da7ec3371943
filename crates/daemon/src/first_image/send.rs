//! Sends a tar to the daemon while it is packed, and reads what becomes of it.

use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use docker_api::REFERENCE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::FirstImageError;

/// The size of a chunk of the body.
const PIECE: usize = 256 * 1024;
/// More heads than any answer has.
const HEADERS: usize = 64;

trait Stream: Read + Write {}
impl Stream for UnixStream {}
impl Stream for TcpStream {}

/// A message of the import's answer.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<String>,
}

/// Imports what `pack` writes; returns the image's id.
pub(super) fn import(
    host: &str,
    query: &[(&str, &str)],
    pack: impl FnOnce(&mut dyn Write) -> Result<(), FirstImageError>,
) -> Result<String, FirstImageError> {
    let mut stream = connect(host)?;
    let talk = |source| FirstImageError::Talk { host: host.to_owned(), source };
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    let head = format!(
        "POST /v{REFERENCE}/images/create?{} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        query.join("&")
    );
    stream.write_all(head.as_bytes()).map_err(talk)?;
    let mut body = BufWriter::with_capacity(PIECE, Chunked(&mut *stream));
    let packed = pack(&mut body);
    let sent = packed.and_then(|()| {
        body.flush().map_err(talk)?;
        body.get_mut().0.write_all(b"0\r\n\r\n").map_err(talk)
    });
    drop(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match (sent, read) {
        // A daemon that refuses the rest answers why.
        (Err(error), _) => Err(refusal(&answer).unwrap_or(error)),
        (Ok(()), Err(source)) => Err(talk(source)),
        (Ok(()), Ok(_)) => outcome(&answer).map_err(FirstImageError::Refused),
    }
}

fn connect(host: &str) -> Result<Box<dyn Stream>, FirstImageError> {
    let failed = |source| FirstImageError::Connect { host: host.to_owned(), source };
    match host.split_once("://") {
        Some(("unix", path)) => Ok(Box::new(UnixStream::connect(path).map_err(failed)?)),
        Some(("tcp", address)) => {
            Ok(Box::new(TcpStream::connect(address.trim_end_matches('/')).map_err(failed)?))
        }
        _ => Err(FirstImageError::Host(host.to_owned())),
    }
}

/// Writes each buffer as a chunk (RFC 9112, section 7.1).
struct Chunked<'a>(&'a mut dyn Stream);

impl Write for Chunked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        write!(self.0, "{:x}\r\n", bytes.len())?;
        self.0.write_all(bytes)?;
        self.0.write_all(b"\r\n")?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn refusal(answer: &[u8]) -> Option<FirstImageError> {
    let said = !answer.is_empty();
    outcome(answer).err().filter(|_| said).map(FirstImageError::Refused)
}

/// The image's id, or the daemon's error.
fn outcome(answer: &[u8]) -> Result<String, String> {
    let broken = || "its answer is cut off".to_owned();
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(answer).map_err(|error| error.to_string())? else {
        return Err(broken());
    };
    let chunked = head.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("transfer-encoding") && header.value.eq_ignore_ascii_case(b"chunked")
    });
    let body = if chunked { joined(&answer[length..]) } else { Some(answer[length..].to_vec()) };
    let body = body.ok_or_else(broken)?;
    if head.code != Some(200) {
        return Err(String::from_utf8_lossy(&body).trim().to_owned());
    }
    let messages = serde_json::Deserializer::from_slice(&body).into_iter::<Message>();
    let last = messages.filter_map(Result::ok).last().ok_or_else(broken)?;
    match last.error {
        Some(error) => Err(error),
        None => Ok(last.status),
    }
}

/// The content of a chunked body; `None` when it is cut off.
fn joined(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(body).ok()? else {
            return None;
        };
        if size == 0 {
            return Some(content);
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        content.extend_from_slice(body.get(start..end)?);
        body = body.get(end + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let good = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\nd\r\ntus\":\"abc\"}\r\n\r\n0\r\n\r\n";
        assert_eq!(outcome(good), Ok("abc".to_owned()));
        let refused = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nbad\n";
        assert_eq!(outcome(refused), Err("bad".to_owned()));
        let late =
            b"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"x\"}\r\n{\"errorDetail\":{},\"error\":\"no room\"}\r\n";
        assert_eq!(outcome(late), Err("no room".to_owned()));
        let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"s";
        assert_eq!(outcome(cut), Err("its answer is cut off".to_owned()));
    }
}
