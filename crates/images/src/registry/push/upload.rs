//! Uploads one blob (distribution specification, "Pushing blobs"): begin, send, commit; what was
//! sent before a break is not sent again.

use std::io::{self, Read};
use std::time::Duration;

use model::Digest;
use ureq::http::{Method, StatusCode, header};
use url::Url;

use crate::registry::error::RegistryError;
use crate::registry::proof::Scope;
use crate::registry::retry::{Attempts, is_transient};
use crate::registry::session::{Session, refused};
use crate::registry::transport::{Answer, Payload, Request, shown};

/// How long a registry may take to make a blob or manifest its own.
pub(super) const COMMIT_TIME: Duration = Duration::from_secs(600);

/// Whether the repository has a blob.
pub(super) fn exists(session: &Session<'_>, digest: Digest) -> Result<bool, RegistryError> {
    let make = || Request::new(Method::HEAD, session.url(&format!("blobs/{digest}")));
    let answer = session.call(&Scope::push(session.path()), &make)?;
    match answer.status {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        _ => Err(refused(&Method::HEAD, answer)),
    }
}

/// Requests that the registry take a blob from another of its repositories; whether it did.
pub(super) fn mount(session: &Session<'_>, digest: Digest, from: &str) -> Result<bool, RegistryError> {
    let scope = Scope::push(session.path()).with_source(from);
    let answer = match begin(session, &scope, Some((digest, from))) {
        Ok(answer) => answer,
        // The source may be closed to this user; then the blob is uploaded.
        Err(RegistryError::Unauthorized { .. } | RegistryError::Denied { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    if answer.status == StatusCode::CREATED {
        return Ok(true);
    }
    // An upload was begun instead; it is not used, and ended so that the registry can drop it.
    if let Some(location) = location(session, &answer) {
        let _ = session.send(&scope, Request::new(Method::DELETE, location));
    }
    Ok(false)
}

fn begin(
    session: &Session<'_>,
    scope: &Scope,
    source: Option<(Digest, &str)>,
) -> Result<Answer, RegistryError> {
    let mut url = session.url("blobs/uploads/");
    if let Some((digest, from)) = source {
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
    }
    let answer = session.call(scope, &|| Request::new(Method::POST, url.clone()))?;
    match answer.status {
        StatusCode::CREATED | StatusCode::ACCEPTED => Ok(answer),
        _ => Err(refused(&Method::POST, answer)),
    }
}

/// The location at which an upload continues. Registries behind a proxy may send `http` where they are
/// reached by https: that is corrected, since nothing may be sent in the clear.
fn location(session: &Session<'_>, answer: &Answer) -> Option<Url> {
    let mut url = answer.url.join(answer.header(&header::LOCATION)?).ok()?;
    let own = session.url("");
    if own.scheme() == "https" && url.scheme() == "http" {
        url.set_scheme("https").ok()?;
    }
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// A blob to be uploaded.
pub(super) struct Upload<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Opens the content at an offset.
    pub(super) open: &'a dyn Fn(u64) -> io::Result<Box<dyn Read + 'a>>,
    /// Receives how much was sent.
    pub(super) seen: &'a dyn Fn(u64),
}

enum Step {
    Further,
    Committed,
}

/// Where an upload stands.
struct Position {
    location: Url,
    offset: u64,
}

impl Upload<'_> {
    /// Uploads the blob, through as many connections as it takes.
    pub(super) fn run(&self) -> Result<(), RegistryError> {
        let transport = self.session.transport();
        let mut attempts = Attempts::new(transport.settings().retry, transport.cancellation());
        let mut position: Option<Position> = None;
        loop {
            let reached = position.as_ref().map_or(0, |position| position.offset);
            let error = match self.step(&mut position) {
                Ok(Step::Committed) => return Ok(()),
                Ok(Step::Further) => continue,
                Err(error) => error,
            };
            if transport.cancellation().is_cancelled() {
                return Err(RegistryError::Cancelled);
            }
            if !may_pass(&error) {
                return Err(error);
            }
            tracing::debug!(%error, "an upload broke off");
            position = position.and_then(|position| self.ask(position));
            if position.as_ref().is_some_and(|position| position.offset > reached) {
                attempts.reset();
            }
            let asked = match &error {
                RegistryError::Status { pause, .. } => *pause,
                _ => None,
            };
            if !attempts.pause(asked) {
                return Err(error);
            }
        }
    }

    /// Takes the next of the three steps.
    fn step(&self, position: &mut Option<Position>) -> Result<Step, RegistryError> {
        let scope = Scope::push(self.session.path());
        let Some(current) = position else {
            let answer = begin(self.session, &scope, None)?;
            *position = Some(Position { location: self.next(&answer)?, offset: 0 });
            return Ok(Step::Further);
        };
        if current.offset < self.size {
            let answer = self.send(&scope, current)?;
            *position = Some(Position { location: self.next(&answer)?, offset: self.size });
            return Ok(Step::Further);
        }
        self.commit(&scope, &current.location)?;
        Ok(Step::Committed)
    }

    fn next(&self, answer: &Answer) -> Result<Url, RegistryError> {
        location(self.session, answer).ok_or_else(|| RegistryError::Malformed {
            url: shown(&answer.url),
            what: "upload",
            reason: "the answer has no Location".to_owned(),
        })
    }

    fn send(&self, scope: &Scope, position: &Position) -> Result<Answer, RegistryError> {
        let length = self.size - position.offset;
        let content = (self.open)(position.offset).map_err(|source| RegistryError::File {
            act: "read",
            path: format!("the content of {}", self.digest),
            source,
        })?;
        let mut counted = Counted { content: content.take(length), sent: position.offset, seen: self.seen };
        let mut request = Request::new(Method::PATCH, position.location.clone());
        let range = format!("{}-{}", position.offset, self.size.saturating_sub(1));
        request.headers.push((header::CONTENT_RANGE, range));
        request.payload = Payload::Stream(&mut counted, length);
        let answer = self.session.send(scope, request)?;
        match answer.status {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT | StatusCode::CREATED => Ok(answer),
            _ => Err(refused(&Method::PATCH, answer)),
        }
    }

    fn commit(&self, scope: &Scope, location: &Url) -> Result<(), RegistryError> {
        let mut url = location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let mut request = Request::new(Method::PUT, url);
        request.timeout = Some(COMMIT_TIME);
        let answer = self.session.send(scope, request)?;
        match answer.status {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            _ => Err(refused(&Method::PUT, answer)),
        }
    }

    /// Queries how much has arrived; `None` when the upload must begin again.
    fn ask(&self, position: Position) -> Option<Position> {
        let scope = Scope::push(self.session.path());
        let make = || Request::new(Method::GET, position.location.clone());
        let answer = self.session.call(&scope, &make).ok()?;
        if answer.status != StatusCode::NO_CONTENT {
            return None;
        }
        let last = answer.header(&header::RANGE)?.trim_start_matches("bytes=").split_once('-')?.1;
        let last: u64 = last.trim().parse().ok()?;
        // "0-0" may mean one byte or none; beginning at its start loses nothing.
        let offset = if last == 0 { return None } else { last + 1 };
        (offset <= self.size).then(|| Position {
            location: location(self.session, &answer).unwrap_or(position.location),
            offset,
        })
    }
}

/// Whether an upload that failed so may go well the next time.
fn may_pass(error: &RegistryError) -> bool {
    match error {
        RegistryError::Transport(error) => error.is_transient(),
        RegistryError::Status { status, .. } => {
            // 401: the token ended meanwhile. 404 and 416: the registry has dropped the upload, or counts
            // otherwise.
            matches!(*status, 401 | 404 | 416) || StatusCode::from_u16(*status).is_ok_and(is_transient)
        }
        _ => false,
    }
}

/// Reports how much was read.
struct Counted<'a, R> {
    content: R,
    sent: u64,
    seen: &'a dyn Fn(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        if count > 0 {
            self.sent += count as u64;
            (self.seen)(self.sent);
        }
        Ok(count)
    }
}
