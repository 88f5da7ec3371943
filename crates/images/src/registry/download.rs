//! Downloads one blob as a stream that survives broken connections and killed processes.
//!
//! ```text
//!   file of an earlier attempt ──► replayed ─┐
//!                                            ├─► hash, count ──► the reader (decompressed, unpacked)
//!   GET, Range: bytes=<what is there>- ──────┘
//!        ▲      │ appended to the file
//!        └──────┘ again when the connection breaks
//! ```
//!
//! The file is named by the digest; only what has the right digest and size ends well.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::Digest;
use sha2::{Digest as _, Sha256};
use ureq::http::{Method, StatusCode, header};
use url::Url;

use super::error::RegistryError;
use super::manifest::Descriptor;
use super::progress::{Message, Progress};
use super::proof::Scope;
use super::retry::{Attempts, is_transient};
use super::session::{Session, unexpected};
use super::settings::Retry;
use super::transport::{Answer, Request, shown};
use crate::unpack::Space;

/// A bar moves at most so often.
const BAR_PAUSE: Duration = Duration::from_millis(100);
/// The size of a read.
const CHUNK: usize = 64 << 10;

/// The requested pause of a temporary failure, if any; `None` for a permanent one.
fn asked_to_wait(error: &RegistryError) -> Option<Option<Duration>> {
    match error {
        RegistryError::Transport(error) => error.is_outage().then_some(None),
        RegistryError::Status { status, pause, .. } => {
            StatusCode::from_u16(*status).is_ok_and(is_transient).then_some(*pause)
        }
        RegistryError::BrokenOff { .. } => Some(None),
        _ => None,
    }
}

/// The blob to be downloaded.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// Unknown for layers of schema 1.
    pub(super) size: Option<u64>,
    /// Where else it lies.
    pub(super) urls: Vec<String>,
}

impl From<&Descriptor> for Blob {
    fn from(descriptor: &Descriptor) -> Self {
        let urls = if descriptor.is_foreign() { descriptor.urls.clone() } else { Vec::new() };
        Self { digest: descriptor.digest, size: Some(descriptor.size), urls }
    }
}

/// A download under way.
pub(super) struct Download<'a> {
    session: &'a Session<'a>,
    progress: &'a dyn Progress,
    blob: &'a Blob,
    path: PathBuf,
    file: File,
    space: Space,
    /// How much of the file of an earlier attempt is still to be replayed.
    to_replay: u64,
    /// Whether anything came from an earlier attempt.
    resumed: bool,
    /// The bytes passed on so far.
    position: u64,
    total: Option<u64>,
    hash: Sha256,
    connection: Option<ureq::BodyReader<'static>>,
    attempts: Attempts<'a>,
    last_bar: Option<Instant>,
    finished: bool,
    /// Why reading failed; `io::Error` cannot carry it.
    failure: Option<RegistryError>,
}

impl<'a> Download<'a> {
    /// Begins, or resumes, a download into the directory.
    pub(super) fn open(
        session: &'a Session<'a>,
        blob: &'a Blob,
        directory: &Path,
        progress: &'a dyn Progress,
    ) -> Result<Self, RegistryError> {
        let path = directory.join(blob.digest.hexadecimal());
        let failed = |source| file_error("open", &path, source);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut to_replay = file.metadata().map_err(failed)?.len();
        if blob.size.is_some_and(|size| to_replay > size) {
            file.set_len(0).map_err(failed)?;
            to_replay = 0;
        }
        let place = File::open(directory).map_err(|source| file_error("open", directory, source))?;
        let mut space =
            Space::of(place.as_fd()).map_err(|source| file_error("look at", directory, source))?;
        space.check(blob.size.unwrap_or_default().saturating_sub(to_replay)).map_err(crate::Error::from)?;
        let transport = session.transport();
        Ok(Self {
            session,
            progress,
            blob,
            file,
            space,
            to_replay,
            resumed: to_replay > 0,
            position: 0,
            total: blob.size,
            hash: Sha256::new(),
            connection: None,
            attempts: Attempts::new(transport.settings().download_retry, transport.cancellation()),
            last_bar: None,
            finished: false,
            failure: None,
            path,
        })
    }

    /// Whether part of it came from an earlier attempt, so that it may be wrong by no fault of
    /// the registry's.
    pub(super) const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Why reading failed, if it was the download's fault.
    pub(super) const fn take_failure(&mut self) -> Option<RegistryError> {
        self.failure.take()
    }

    /// Reads what the consumer left, and checks digest and size: the file is complete then.
    pub(super) fn finish(mut self) -> Result<(), RegistryError> {
        let mut rest = vec![0; CHUNK];
        loop {
            match self.advance(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        if self.finished || buffer.is_empty() {
            return Ok(0);
        }
        if self.session.transport().cancellation().is_cancelled() {
            return Err(RegistryError::Cancelled);
        }
        let count = if self.to_replay > 0 { self.replay(buffer)? } else { self.receive(buffer)? };
        self.hash.update(&buffer[..count]);
        self.position += count as u64;
        self.show();
        if count == 0 {
            self.verify()?;
        }
        Ok(count)
    }

    fn replay(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        let limit = usize::try_from(self.to_replay).unwrap_or(buffer.len()).min(buffer.len());
        // The file is opened for appending, but is read from its beginning.
        let count =
            self.file.read(&mut buffer[..limit]).map_err(|source| file_error("read", &self.path, source))?;
        if count == 0 {
            self.to_replay = 0;
            return self.receive(buffer);
        }
        self.to_replay -= count as u64;
        Ok(count)
    }

    /// Reads from the network, through as many connections as it takes; 0 at the end.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        loop {
            if self.total == Some(self.position) && self.connection.is_none() {
                return Ok(0);
            }
            if self.connection.is_none()
                && let Err(error) = self.connect()
            {
                let Some(asked) = asked_to_wait(&error) else { return Err(error) };
                if !self.pause(asked) {
                    let is_cancelled = self.session.transport().cancellation().is_cancelled();
                    return Err(if is_cancelled { RegistryError::Cancelled } else { error });
                }
                continue;
            }
            let Some(connection) = &mut self.connection else { continue };
            let broken = match connection.read(buffer) {
                Ok(0) if self.total.is_none_or(|total| total == self.position) => return Ok(0),
                Ok(0) => "the connection was closed".to_owned(),
                Ok(count) => {
                    self.check_size(count)?;
                    self.space.write(count).map_err(crate::Error::from)?;
                    self.file
                        .write_all(&buffer[..count])
                        .map_err(|source| file_error("write", &self.path, source))?;
                    self.attempts.reset();
                    return Ok(count);
                }
                Err(error) => error.to_string(),
            };
            self.connection = None;
            if !self.pause(None) {
                return Err(self.broken_off(broken));
            }
        }
    }

    /// Pauses before the next attempt, and reports it where that takes long; `false` when there is none.
    fn pause(&mut self, asked: Option<Duration>) -> bool {
        let (progress, id) = (self.progress, self.blob.digest.short());
        self.attempts.pause_telling(asked, |pause| match pause.as_secs() {
            0 => {}
            1 => progress.report(Message::state(id, "Retrying in 1 second")),
            seconds => progress.report(Message::state(id, format!("Retrying in {seconds} seconds"))),
        })
    }

    fn broken_off(&self, reason: String) -> RegistryError {
        if self.session.transport().cancellation().is_cancelled() {
            return RegistryError::Cancelled;
        }
        RegistryError::BrokenOff {
            digest: self.blob.digest,
            received: self.position,
            expected: self.total.unwrap_or_default(),
            reason,
        }
    }

    fn check_size(&self, count: usize) -> Result<(), RegistryError> {
        let actual = self.position + count as u64;
        match self.total {
            Some(expected) if actual > expected => {
                Err(RegistryError::WrongSize { digest: self.blob.digest, expected, actual })
            }
            _ => Ok(()),
        }
    }

    /// Requests the bytes from the position on.
    fn connect(&mut self) -> Result<(), RegistryError> {
        let mut answer = self.request()?;
        let total = match answer.status {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(&header::CONTENT_RANGE).unwrap_or_default();
                if range_start(range) != Some(self.position) {
                    let reason = format!("asked for bytes from {}, got {range:?}", self.position);
                    let url = shown(&answer.url);
                    return Err(RegistryError::Malformed { url, what: "range", reason });
                }
                range.rsplit_once('/').and_then(|(_, total)| total.parse().ok())
            }
            // Ranges are not supported there: what is here already is read once more.
            StatusCode::OK => {
                let length = answer.header(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
                let skipped = io::copy(&mut answer.body.as_reader().take(self.position), &mut io::sink());
                if skipped.ok() != Some(self.position) {
                    return Err(self.broken_off("the connection was closed".to_owned()));
                }
                length
            }
            // All of it is here already, or more: its digest decides.
            StatusCode::RANGE_NOT_SATISFIABLE if self.position > 0 && self.total.is_none() => {
                self.total = Some(self.position);
                return Ok(());
            }
            _ => return Err(unexpected(&Method::GET, answer)),
        };
        match (self.total, total) {
            (Some(expected), Some(actual)) if expected != actual => {
                return Err(RegistryError::WrongSize { digest: self.blob.digest, expected, actual });
            }
            (None, Some(total)) => self.total = Some(total),
            _ => {}
        }
        self.connection = Some(answer.body.into_reader());
        Ok(())
    }

    fn request(&self) -> Result<Answer, RegistryError> {
        let ranged = |url: Url| {
            let mut request = Request::new(Method::GET, url);
            request.headers.push((header::ACCEPT_ENCODING, "identity".to_owned()));
            if self.position > 0 {
                request.headers.push((header::RANGE, format!("bytes={}-", self.position)));
            }
            request
        };
        for url in self.blob.urls.iter().filter_map(|url| Url::parse(url).ok()) {
            if !matches!(url.scheme(), "http" | "https") {
                continue;
            }
            match self.session.transport().send(ranged(url)) {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => tracing::debug!(status = %answer.status, "a foreign layer is not there"),
                Err(error) => tracing::debug!(%error, "a foreign layer cannot be fetched"),
            }
        }
        let scope = Scope::pull(self.session.path());
        let rest = format!("blobs/{}", self.blob.digest);
        // What fails is tried again where the bytes that are here already count.
        let once = Retry { attempts: 1, ..self.session.transport().settings().download_retry };
        self.session.call_within(once, &scope, &|| ranged(self.session.url(&rest)))
    }

    fn verify(&mut self) -> Result<(), RegistryError> {
        let digest = self.blob.digest;
        if let Some(expected) = self.total.filter(|total| *total != self.position) {
            return Err(RegistryError::WrongSize { digest, expected, actual: self.position });
        }
        let actual = Digest::from_bytes(std::mem::take(&mut self.hash).finalize().into());
        if actual != digest {
            return Err(RegistryError::WrongDigest { expected: digest, actual });
        }
        self.finished = true;
        self.connection = None;
        Ok(())
    }

    fn show(&mut self) {
        let total = self.total.unwrap_or_default();
        let due = self.last_bar.is_none_or(|last| last.elapsed() >= BAR_PAUSE) || self.position == total;
        if due && self.position > 0 {
            self.last_bar = Some(Instant::now());
            let id = self.blob.digest.short();
            self.progress.report(Message::amount(id, "Downloading", self.position, total));
        }
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.advance(buffer).map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.failure = Some(error);
            shown
        })
    }
}

/// The first byte of `bytes 5-9/10`.
fn range_start(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

pub(super) fn file_error(act: &'static str, path: &Path, source: io::Error) -> RegistryError {
    RegistryError::File { act, path: path.display().to_string(), source }
}
