//! A request's head: found in a buffer, parsed, checked, and the framing of its body decided. No I/O.

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use percent_encoding::percent_decode_str;

/// Most bytes of a head.
pub(super) const MAXIMUM_HEAD: usize = 256 * 1024;
/// Most header fields.
const MAXIMUM_FIELDS: usize = 256;
/// While a head is no longer than this, each read is checked for plain nonsense.
const EARLY_CHECK: usize = 1024;

/// A head that is refused, in words for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// It is no HTTP request.
    #[error("Bad Request")]
    Malformed,
    /// It breaks a rule that is worth naming.
    #[error("Bad Request: {0}")]
    Rule(&'static str),
    /// It is longer than [`MAXIMUM_HEAD`] or has more than [`MAXIMUM_FIELDS`] fields.
    #[error("Request Header Fields Too Large: {0}")]
    TooLarge(&'static str),
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("HTTP Version Not Supported: unsupported protocol version")]
    Version,
    /// A transfer coding other than chunked.
    #[error("Not Implemented: unsupported transfer coding")]
    TransferCoding,
    /// All connections together hold too much of unfinished requests.
    #[error("Service Unavailable: too many requests are unfinished, try again")]
    Busy,
    /// It did not arrive in time.
    #[error("Request Timeout: the request head did not arrive in time")]
    Timeout,
}

impl HeadError {
    /// The status of the answer.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed | Self::Rule(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// What marks the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunked coding.
    Chunked,
}

/// A parsed request head.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded.
    pub path: String,
    /// The path as it was sent.
    pub raw_path: String,
    /// The query behind `?`, as it was sent.
    pub query: String,
    /// 1.0 or 1.1.
    pub version: Version,
    /// All fields.
    pub headers: HeaderMap,
    /// The framing of the body.
    pub(crate) framing: Framing,
    /// Whether the client would send another request on this connection.
    pub(super) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

impl RequestHead {
    /// A field's value as text; empty when it is missing or not ASCII.
    pub fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether one of the comma-separated words of a field is this one, in any case.
    pub fn has_word(&self, name: &HeaderName, word: &str) -> bool {
        has_word(&self.headers, name, word)
    }
}

/// Takes a head out of the buffer when it is complete.
///
/// `scanned` keeps between calls how far the buffer was searched for the end.
pub(super) fn take_head(
    buffer: &mut BytesMut,
    scanned: &mut usize,
) -> Result<Option<RequestHead>, HeadError> {
    if *scanned == 0 {
        let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        buffer.advance(blank);
    }
    let Some(length) = find_end(buffer, scanned) else {
        if buffer.len() > MAXIMUM_HEAD {
            return Err(HeadError::TooLarge("the request head is too large"));
        }
        if !buffer.is_empty() && buffer.len() <= EARLY_CHECK {
            parse(buffer)?;
        }
        return Ok(None);
    };
    *scanned = 0;
    if length > MAXIMUM_HEAD {
        return Err(HeadError::TooLarge("the request head is too large"));
    }
    let bytes = buffer.split_to(length);
    parse(&bytes)?.map(Some).ok_or(HeadError::Malformed)
}

/// The length of the head, its blank line included.
fn find_end(buffer: &[u8], scanned: &mut usize) -> Option<usize> {
    let from = scanned.saturating_sub(3);
    let found = buffer[from..].iter().enumerate().find_map(|(offset, byte)| {
        let at = from + offset;
        let ends = *byte == b'\n' && matches!(&buffer[..at], [.., b'\n'] | [.., b'\n', b'\r']);
        ends.then_some(at + 1)
    });
    *scanned = buffer.len();
    found
}

/// Parses a head; `None` when it is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAXIMUM_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(HeadError::TooLarge("there are too many header fields"));
        }
        Err(httparse::Error::Version) if is_other_version(bytes) => return Err(HeadError::Version),
        Err(_) => return Err(HeadError::Malformed),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed);
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed)?;
    let version = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut headers = collect_headers(request.headers)?;
    let Target { authority, path: raw_path, query } = Target::parse(target)?;
    let path = decode_path(&raw_path)?;
    settle_host(version, &mut headers, authority)?;
    let framing = body_framing(version, &headers)?;
    let keep_alive = match version {
        Version::HTTP_10 => has_word(&headers, &header::CONNECTION, "keep-alive"),
        _ => !has_word(&headers, &header::CONNECTION, "close"),
    };
    let expects_continue = version == Version::HTTP_11
        && framing != Framing::None
        && has_word(&headers, &header::EXPECT, "100-continue");
    Ok(Some(RequestHead {
        method,
        path,
        raw_path,
        query,
        version,
        headers,
        framing,
        keep_alive,
        expects_continue,
    }))
}

/// Whether the first line ends like `HTTP/2.0`, so that only the version is wrong.
fn is_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn collect_headers(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| HeadError::Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// A request's target in origin-form, absolute-form or asterisk-form (RFC 9112, section 3.2).
struct Target<'a> {
    /// The host that an absolute-form names.
    authority: Option<&'a str>,
    path: String,
    query: String,
}

impl<'a> Target<'a> {
    fn parse(target: &'a str) -> Result<Self, HeadError> {
        let (authority, local) = if target.starts_with('/') || target == "*" {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://").ok_or(HeadError::Malformed)?;
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(HeadError::Malformed);
            }
            let (authority, local) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            (Some(authority), local)
        };
        let local = local.split_once('#').map_or(local, |(before, _)| before);
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { authority, path: path.to_owned(), query: query.to_owned() })
    }
}

fn decode_path(raw: &str) -> Result<String, HeadError> {
    let bytes = raw.as_bytes();
    let escapes_are_whole = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        let hexadecimal = |offset: usize| bytes.get(at + offset).is_some_and(u8::is_ascii_hexdigit);
        hexadecimal(1) && hexadecimal(2)
    });
    if !escapes_are_whole {
        return Err(HeadError::Malformed);
    }
    Ok(percent_decode_str(raw).decode_utf8_lossy().into_owned())
}

/// Leaves one `Host`, which is also that of the target: a check of it must see what all others see.
fn settle_host(version: Version, headers: &mut HeaderMap, authority: Option<&str>) -> Result<(), HeadError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(HeadError::Rule("too many Host headers"));
    }
    let host = match first {
        Some(host) => Some(host.to_str().map_err(|_| HeadError::Rule("malformed Host header"))?),
        None if version == Version::HTTP_11 => {
            return Err(HeadError::Rule("missing required Host header"));
        }
        None => None,
    };
    let Some(authority) = authority else { return Ok(()) };
    if authority.is_empty() {
        return Err(HeadError::Rule("the target names no host"));
    }
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(authority)) {
        return Err(HeadError::Rule("the target and the Host header name different hosts"));
    }
    if host.is_none() {
        let value = HeaderValue::from_str(authority).map_err(|_| HeadError::Malformed)?;
        headers.insert(header::HOST, value);
    }
    Ok(())
}

/// The framing of the body by its head. Whatever two readers could understand differently is refused.
fn body_framing(version: Version, headers: &HeaderMap) -> Result<Framing, HeadError> {
    let lengths: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
    let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).iter().collect();
    if !codings.is_empty() {
        if !lengths.is_empty() {
            return Err(HeadError::Rule("both Transfer-Encoding and Content-Length"));
        }
        if version == Version::HTTP_10 {
            return Err(HeadError::Rule("Transfer-Encoding in an HTTP/1.0 request"));
        }
        return match codings.as_slice() {
            [only] if only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            _ => Err(HeadError::TransferCoding),
        };
    }
    match lengths.as_slice() {
        [] => Ok(Framing::None),
        [only] => parse_length(only.as_bytes()),
        _ => Err(HeadError::Rule("more than one Content-Length")),
    }
}

fn parse_length(value: &[u8]) -> Result<Framing, HeadError> {
    let malformed = HeadError::Rule("malformed Content-Length");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    let digits = std::str::from_utf8(value).map_err(|_| malformed.clone())?;
    match digits.parse() {
        Ok(0) => Ok(Framing::None),
        // Above this no file system could hold it, and sums of lengths could overflow.
        Ok(length) if length <= i64::MAX as u64 => Ok(Framing::Length(length)),
        _ => Err(malformed),
    }
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
