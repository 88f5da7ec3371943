//! Sends single HTTP requests: one connection pool a host, redirects, proxies, cancellation.
//!
//! Redirects are followed here and not by the client library, because credentials must never
//! leave the registry they are for: `Authorization` is sent to the first origin only.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::{HeaderMap, Method, StatusCode, header};
use ureq::{Agent, AsSendBody, SendBody};
use url::Url;

use super::Cancellation;
use super::cancellation::Watch;
use super::forward::ForwardProxy;
use super::hosts_file::HostTrust;
use super::reason::reason;
use super::settings::{RESOLVE_TIME, RegistrySettings};
use super::tls::{CertificateError, HostCertificates, Trust};
use crate::archive_memory::Share;

/// How long a connection may take, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a peer may stay silent in the middle of a transfer.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a registry or index may think about a question that is easily answered.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How many redirects one request may go through.
const REDIRECT_LIMIT: usize = 10;

/// A request could not be carried out; there is no answer to it.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The work was cancelled.
    #[error("the request was cancelled")]
    Cancelled,
    /// The connection failed or broke.
    #[error("{method} {url}: {}", reason(.source))]
    Exchange {
        /// The request's method.
        method: Method,
        /// Where it went, without its query.
        url: String,
        /// The error.
        source: Box<ureq::Error>,
    },
    /// A redirect has no valid location, forms a circle, or leads from https to http.
    #[error("{method} {url}: the redirect to {target:?} is refused")]
    Redirect {
        /// The request's method.
        method: Method,
        /// Where it went, without its query.
        url: String,
        /// Where it was sent.
        target: String,
    },
    /// The certificates for the host cannot be used.
    #[error("the certificates for {host} cannot be used")]
    Certificates {
        /// The registry's host.
        host: String,
        /// Why.
        source: CertificateError,
    },
    /// The proxy's address is malformed.
    #[error("the proxy {proxy:?} for {host} is no http, https or bare address")]
    Proxy {
        /// The value in the environment.
        proxy: String,
        /// The host that it is for.
        host: String,
    },
}

impl TransportError {
    /// Whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Cancelled | Self::Redirect { .. } | Self::Certificates { .. } | Self::Proxy { .. } => false,
            Self::Exchange { source, .. } => match &**source {
                ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
                ureq::Error::Timeout(timeout) => !matches!(timeout, ureq::Timeout::Resolve),
                ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed | ureq::Error::BodyStalled => true,
                _ => false,
            },
        }
    }
}

impl TransportError {
    /// Whether a host that answered before may be away for a while: it restarts, or the way to it is broken.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Cancelled | Self::Redirect { .. } | Self::Certificates { .. } | Self::Proxy { .. } => false,
            Self::Exchange { source, .. } => matches!(
                **source,
                ureq::Error::Io(_)
                    | ureq::Error::Timeout(_)
                    | ureq::Error::HostNotFound
                    | ureq::Error::Protocol(_)
                    | ureq::Error::ConnectionFailed
                    | ureq::Error::BodyStalled
            ),
        }
    }
}

/// The body of a request.
pub(super) enum Payload<'a> {
    /// Nothing.
    Empty,
    /// A few bytes of the type named.
    Bytes(&'a str, &'a [u8]),
    /// A stream of bytes, so many.
    Stream(&'a mut dyn Read, u64),
}

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Sent to every origin.
    pub(super) headers: Vec<(header::HeaderName, String)>,
    /// Sent to the first origin only.
    pub(super) authorization: Option<String>,
    pub(super) payload: Payload<'a>,
    /// How long the peer may think; [`SILENCE`] where none.
    pub(super) timeout: Option<Duration>,
}

impl Request<'_> {
    pub(super) fn new(method: Method, url: Url) -> Self {
        let payload = Payload::Empty;
        Self { method, url, headers: Vec::new(), authorization: None, payload, timeout: None }
    }
}

/// The answer to a request; its body is still to be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::Body,
    /// Where the answer came from, after redirects.
    pub(super) url: Url,
}

impl Answer {
    /// A header's value as text.
    pub(super) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads a short body; what is beyond `limit` bytes is left out. A registry that never ends it holds its share of
    /// what archives may hold in memory.
    pub(super) fn read_up_to(mut self, limit: u64) -> io::Result<Vec<u8>> {
        let reader = self.body.as_reader().take(limit);
        sys::bounded_read::read_stream(Counted { reader, share: Share::default() }, limit)
    }
}

/// A body that is gathered in memory.
struct Counted<R> {
    reader: R,
    share: Share,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        // What is gathered has room for as much again.
        self.share.take(2 * count).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// Sends the requests of one operation.
pub(super) struct Transport {
    settings: Arc<RegistrySettings>,
    cancellation: Cancellation,
    agents: Mutex<Vec<KnownAgent>>,
    /// The trust of some hosts beside what their directories of certificates have.
    trusted: Mutex<HashMap<String, HostTrust>>,
}

struct KnownAgent {
    origin: String,
    agent: Agent,
    _watch: Watch,
}

impl Transport {
    pub(super) fn new(settings: Arc<RegistrySettings>, cancellation: &Cancellation) -> Self {
        let cancellation = cancellation.child();
        Self { settings, cancellation, agents: Mutex::default(), trusted: Mutex::default() }
    }

    /// Extends the trust of a URL's host beyond its directory of certificates, from now on.
    pub(super) fn trust(&self, url: &Url, trust: &HostTrust) {
        if *trust != HostTrust::default() {
            let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
            trusted.insert(host_and_port(url), trust.clone());
        }
    }

    pub(super) fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// The cancellation of this operation; cancelling it does not cancel its parent.
    pub(super) fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// Sends a request and follows redirects where that is safe.
    pub(super) fn send(&self, mut request: Request<'_>) -> Result<Answer, TransportError> {
        let first_origin = request.url.origin();
        for _ in 0..=REDIRECT_LIMIT {
            let answer = self.send_once(&mut request)?;
            let Some(target) = redirect_target(&request, &answer)? else { return Ok(answer) };
            if target.origin() != first_origin {
                request.authorization = None;
            }
            request.url = target;
        }
        Err(TransportError::Redirect {
            method: request.method,
            target: shown(&request.url),
            url: first_origin.ascii_serialization(),
        })
    }

    fn send_once(&self, request: &mut Request<'_>) -> Result<Answer, TransportError> {
        if self.cancellation.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        let agent = self.agent(&request.url)?;
        let failed = |source: ureq::Error| {
            if self.cancellation.is_cancelled() {
                return TransportError::Cancelled;
            }
            let url = shown(&request.url);
            TransportError::Exchange { method: request.method.clone(), url, source: Box::new(source) }
        };
        let mut builder =
            ureq::http::Request::builder().method(request.method.clone()).uri(request.url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        let timeout = request.timeout;
        let response = match &mut request.payload {
            Payload::Empty if matches!(request.method, Method::GET | Method::HEAD) => {
                run(&agent, builder, (), timeout)
            }
            Payload::Empty => run(&agent, builder.header(header::CONTENT_LENGTH, 0), &[][..], timeout),
            Payload::Bytes(kind, bytes) => {
                let typed = builder.header(header::CONTENT_TYPE, *kind);
                run(&agent, typed.header(header::CONTENT_LENGTH, bytes.len()), *bytes, timeout)
            }
            Payload::Stream(reader, length) => {
                let typed = builder.header(header::CONTENT_TYPE, "application/octet-stream");
                let sized = typed.header(header::CONTENT_LENGTH, *length);
                run(&agent, sized, SendBody::from_reader(reader), timeout)
            }
        };
        let response = response.map_err(failed)?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body, url: request.url.clone() })
    }

    /// The connection pool for a URL's origin.
    fn agent(&self, url: &Url) -> Result<Agent, TransportError> {
        let origin = url.origin().ascii_serialization();
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = agents.iter().find(|known| known.origin == origin) {
            return Ok(known.agent.clone());
        }
        let agent = self.new_agent(url)?;
        let watch = self.cancellation.watch(&agent);
        agents.push(KnownAgent { origin, agent: agent.clone(), _watch: watch });
        Ok(agent)
    }

    fn new_agent(&self, url: &Url) -> Result<Agent, TransportError> {
        let host = host_and_port(url);
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(RESOLVE_TIME))
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .max_idle_connections_per_host(8)
            .proxy(None);
        if let Some(proxy) = self.settings.proxies.as_ref().and_then(|proxies| proxies.proxy_for(url)) {
            if let Some(forward) = ForwardProxy::parse(proxy).filter(|_| url.scheme() == "http") {
                return Ok(forward.agent(builder.max_idle_connections(0).build()));
            }
            let invalid = |_| TransportError::Proxy { proxy: proxy.to_owned(), host: host.clone() };
            builder = builder.proxy(Some(ureq::Proxy::new(proxy).map_err(invalid)?));
        }
        if url.scheme() == "https" {
            let (certificates, trust) = self.certificates(&host)?;
            builder = builder.tls_config(certificates.into_config(trust));
        }
        Ok(Agent::new_with_config(builder.build()))
    }

    /// The certificates for a host and whether they are verified.
    ///
    /// A host that is insecure merely because it is on the loopback is verified all the same
    /// where an authority of its own was put down for it.
    fn certificates(&self, host: &str) -> Result<(HostCertificates, Trust), TransportError> {
        let failed = |source| TransportError::Certificates { host: host.to_owned(), source };
        let mut certificates =
            HostCertificates::load(&self.settings.certificate_directories, host).map_err(failed)?;
        let own = self.trusted.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
        let own = own.unwrap_or_default();
        for authority in &own.authorities {
            certificates.add_authority(authority).map_err(failed)?;
        }
        let is_unverified = self.settings.is_insecure(host) && !certificates.has_authority();
        let trust = if own.anything || is_unverified { Trust::Anything } else { Trust::Verified };
        Ok((certificates, trust))
    }

    /// Whether plain HTTP, or a certificate of an unknown authority, is accepted for a host.
    pub(super) fn may_be_plain(&self, host: &str) -> Result<bool, TransportError> {
        Ok(self.certificates(host)?.1 == Trust::Anything)
    }
}

fn run(
    agent: &Agent,
    builder: ureq::http::request::Builder,
    body: impl AsSendBody,
    timeout: Option<Duration>,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = builder.body(body)?;
    match timeout {
        None => agent.run(request),
        Some(timeout) => agent.run(agent.configure_request(request).timeout_per_read(Some(timeout)).build()),
    }
}

/// The host, with its port where one is written.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A URL as it may be shown: without user, password and query, which may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Where a redirect leads; `None` when the answer may not be followed.
fn redirect_target(request: &Request<'_>, answer: &Answer) -> Result<Option<Url>, TransportError> {
    let repeatable = match request.payload {
        Payload::Empty | Payload::Bytes(..) => true,
        Payload::Stream(..) => false,
    };
    let reading = request.method == Method::GET || request.method == Method::HEAD;
    let followed = match answer.status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => reading,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => reading || repeatable,
        _ => false,
    };
    let Some(location) = answer.header(&header::LOCATION).filter(|_| followed) else { return Ok(None) };
    let refused = || TransportError::Redirect {
        method: request.method.clone(),
        url: shown(&request.url),
        target: location.to_owned(),
    };
    let target = request.url.join(location).map_err(|_| refused())?;
    let downgrade = request.url.scheme() == "https" && target.scheme() == "http";
    if downgrade || !matches!(target.scheme(), "http" | "https") || !target.has_host() {
        return Err(refused());
    }
    Ok(Some(target))
}
