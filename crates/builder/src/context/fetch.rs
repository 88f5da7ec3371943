//! Downloads over http and https, on a thread of their own so that a stalled server can be left.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use images::registry::progress::Detail;
use images::registry::{Cancellation, Message};
use model::{ErrorKind, without_credentials};

use crate::event::{BuildEvent, EventSink};
use crate::tree::Modified;

/// How long a server may take to accept a connection, and to send the next part.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a waiting reader checks whether the build is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The size of the chunks that a body is read in.
const PIECE: usize = 128 * 1024;
/// The status of what has not changed.
const NOT_MODIFIED: u16 = 304;
/// How often the advance is shown.
const SHOW: Duration = Duration::from_millis(100);

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server answered with an error.
    #[error("Got HTTP status code >= 400: {code} {reason}")]
    Status {
        /// The status.
        code: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// No answer came.
    #[error("cannot get {address}: {}", without_credentials(&images::registry::reason(source)))]
    Request {
        /// From where, without credentials.
        address: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The answer broke off.
    #[error("cannot get the rest of {address}: {source}")]
    Body {
        /// From where, without credentials.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A download cannot be written to disk.
    #[error("cannot keep the download of {address}: {source}")]
    Keep {
        /// From where, without credentials.
        address: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// No thread can be made that fetches it.
    #[error("cannot start a thread that gets {address}: {source}")]
    Thread {
        /// From where, without credentials.
        address: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The server sends nothing, or the build is cancelled.
    #[error("cannot get {address}: {reason}")]
    Ended {
        /// From where, without credentials.
        address: String,
        /// Why it ended.
        reason: &'static str,
    },
}

impl FetchError {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Status { code: 404, .. } => ErrorKind::NotFound,
            Self::Keep { .. } | Self::Thread { .. } => ErrorKind::Internal,
            Self::Status { .. } | Self::Request { .. } | Self::Body { .. } | Self::Ended { .. } => {
                ErrorKind::Invalid
            }
        }
    }
}

/// The head of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) content_type: String,
    pub(crate) length: Option<u64>,
    pub(crate) validators: Validators,
    /// Whether the server still has the version of the validators.
    pub(crate) is_unchanged: bool,
}

/// A server's validators of the version that it sends (RFC 9110, section 8.8); empty where it sends none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) tag: String,
    /// The time of the last change: two changes within a second have the same one, so that it proves nothing.
    pub(crate) modified: String,
}

impl Validators {
    /// The tag, if every byte is the same as long as it is (RFC 9110, section 8.8.1): a weak one begins with `W/`.
    pub(crate) fn strong_tag(&self) -> Option<&str> {
        Some(self.tag.as_str()).filter(|tag| tag.starts_with('"'))
    }
}

/// A download under way.
pub(crate) struct Download<'a> {
    /// From where, without credentials.
    pub(crate) address: String,
    pub(crate) head: Head,
    pieces: Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
    failed: Option<FetchError>,
    agent: ureq::Agent,
    cancellation: &'a Cancellation,
}

enum Piece {
    Head(Head),
    Data(Vec<u8>),
    Failed(FetchError),
}

/// Requests an address and waits for the response's head.
///
/// # Errors
/// [`FetchError`] when there is no successful response.
pub(crate) fn open<'a>(address: &str, cancellation: &'a Cancellation) -> Result<Download<'a>, FetchError> {
    open_if_changed(address, Validators::default(), cancellation)
}

/// Requests an address, unless the server still has the version of the strong validator.
///
/// # Errors
/// [`FetchError`] when there is no successful response.
pub(crate) fn open_if_changed<'a>(
    address: &str,
    known: Validators,
    cancellation: &'a Cancellation,
) -> Result<Download<'a>, FetchError> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let (sender, pieces) = sync_channel(4);
    let worker = (address.to_owned(), agent.clone());
    let thread = thread::Builder::new().name("fetch".to_owned());
    thread
        .spawn(move || fetch((&worker.0, &known), &worker.1, &sender))
        .map_err(|source| FetchError::Thread { address: without_credentials(address), source })?;
    let mut download = Download {
        address: without_credentials(address),
        head: Head::default(),
        pieces,
        piece: io::Cursor::default(),
        failed: None,
        agent,
        cancellation,
    };
    match download.next()? {
        Some(Piece::Head(head)) => download.head = head,
        Some(Piece::Failed(error)) => return Err(error),
        Some(Piece::Data(_)) | None => return Err(download.ended("the connection broke")),
    }
    Ok(download)
}

fn fetch(what: (&str, &Validators), agent: &ureq::Agent, pieces: &SyncSender<Piece>) {
    if let Err(error) = try_fetch(what, agent, pieces) {
        // A receiver that is gone does not need it.
        let _ = pieces.send(Piece::Failed(error));
    }
}

/// Reads a date of HTTP's headers (RFC 9110, section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<Modified> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Modified { seconds: i64::try_from(since.as_secs()).ok()?, nanoseconds: 0 })
}

fn try_fetch(
    (address, known): (&str, &Validators),
    agent: &ureq::Agent,
    pieces: &SyncSender<Piece>,
) -> Result<(), FetchError> {
    let failed =
        |source| FetchError::Request { address: without_credentials(address), source: Box::new(source) };
    let mut request = agent.get(address);
    if let Some(tag) = known.strong_tag() {
        request = request.header("if-none-match", tag);
    }
    let response = request.call().map_err(failed)?;
    let status = response.status();
    if status.as_u16() >= 400 {
        let reason = status.canonical_reason().unwrap_or_default().to_owned();
        return Err(FetchError::Status { code: status.as_u16(), reason });
    }
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let head = Head {
        content_type: text("content-type").unwrap_or_default().to_owned(),
        length: text("content-length").and_then(|length| length.parse().ok()),
        validators: Validators {
            tag: text("etag").unwrap_or_default().to_owned(),
            modified: text("last-modified").unwrap_or_default().to_owned(),
        },
        is_unchanged: status.as_u16() == NOT_MODIFIED && known.strong_tag().is_some(),
    };
    if pieces.send(Piece::Head(head)).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let count = body
            .read(&mut piece)
            .map_err(|source| FetchError::Body { address: without_credentials(address), source })?;
        piece.truncate(count);
        if count == 0 || pieces.send(Piece::Data(piece)).is_err() {
            return Ok(());
        }
    }
}

impl Download<'_> {
    /// Waits for the next chunk; `None` at the end.
    fn next(&self) -> Result<Option<Piece>, FetchError> {
        let start = Instant::now();
        loop {
            // Before what has come: a server that never ends always has more.
            if self.cancellation.is_cancelled() {
                return Err(self.ended("the build was cancelled"));
            }
            match self.pieces.recv_timeout(POLL_INTERVAL) {
                Ok(piece) => return Ok(Some(piece)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if start.elapsed() > IDLE_TIMEOUT {
                return Err(self.ended("the server sends nothing"));
            }
        }
    }

    fn ended(&self, reason: &'static str) -> FetchError {
        FetchError::Ended { address: self.address.clone(), reason }
    }

    /// The failure behind the last read's error, which is then only its shadow.
    pub(crate) fn take_failure(&mut self) -> Option<FetchError> {
        self.failed.take()
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let failure = match self.next() {
                Ok(None) => return Ok(0),
                Ok(Some(Piece::Data(piece))) => {
                    self.piece = io::Cursor::new(piece);
                    continue;
                }
                Ok(Some(Piece::Head(_))) => continue,
                Ok(Some(Piece::Failed(error))) | Err(error) => error,
            };
            let text = failure.to_string();
            self.failed = Some(failure);
            return Err(io::Error::other(text));
        }
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

/// Shows how far a stream has been read.
pub(crate) struct Advance<'a, R> {
    pub(crate) stream: R,
    pub(crate) events: &'a dyn EventSink,
    /// The shown message; its amount is filled in here.
    pub(crate) message: Message,
    pub(crate) total: u64,
    current: u64,
    shown: Option<Instant>,
}

impl<'a, R> Advance<'a, R> {
    /// Shows the advance of `stream` in a message's words.
    pub(crate) fn new(stream: R, events: &'a dyn EventSink, message: Message, total: u64) -> Self {
        Self { stream, events, message, total, current: 0, shown: None }
    }

    fn show(&mut self) {
        let detail = Detail::Amount { current: self.current, total: self.total };
        self.events.send(BuildEvent::Progress(Message { detail, ..self.message.clone() }));
        self.shown = Some(Instant::now());
    }
}

impl<R: Read> Read for Advance<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.current += count as u64;
        let due = self.shown.is_none_or(|shown| shown.elapsed() > SHOW) || self.current == self.total;
        if count > 0 && due {
            self.show();
        }
        Ok(count)
    }
}

/// Downloads what is at an address, showing its advance as `status`, for an import by URL.
///
/// # Errors
/// [`FetchError`] when there is no good answer; later failures are errors of reading.
pub fn download<'a>(
    address: &str,
    status: &str,
    events: &'a dyn EventSink,
    cancellation: &'a Cancellation,
) -> Result<impl Read + Send + 'a, FetchError> {
    let download = open(address, cancellation)?;
    let total = download.head.length.unwrap_or(0);
    let message = Message { status: status.to_owned(), id: None, detail: Detail::Absent };
    Ok(Advance::new(download, events, message, total))
}
