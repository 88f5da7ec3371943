//! Finds the address at which a registry answers: mirrors, https, and http where that is allowed.

use model::ImageReference;
use ureq::http::{Method, StatusCode, header};
use url::Url;

use super::challenge::Challenge;
use super::error::RegistryError;
use super::host::{HUB, is_hub};
use super::hosts_file::{HostTrust, HostsFile, RegistryHost};
use super::retry::{Attempts, asked_pause, is_transient};
use super::transport::{Request, TIMEOUT, Transport, TransportError, host_and_port, shown};

/// A registry that answers.
#[derive(Debug, Clone)]
pub(super) struct ApiRoot {
    /// The registry's host by its common name.
    pub(super) registry: String,
    /// Its challenge.
    pub(super) challenges: Vec<Challenge>,
    /// Ends in `/v2/`.
    base: Url,
}

impl ApiRoot {
    /// A URL beneath `/v2/`.
    pub(super) fn url(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{rest}", self.base.path()));
        url
    }

    /// Whether a URL is of this registry, so that it may see the credentials.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }
}

/// The sources of an image.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The registry's host by its common name.
    registry: String,
    /// The addresses to try, each ending in `/`.
    bases: Vec<Url>,
    /// Whether it is a mirror: it never sees credentials, and its failures are not final.
    pub(super) is_mirror: bool,
    /// Whether its addresses are roots of the API: no `v2/` follows.
    overrides_path: bool,
    /// The trust there, where a `hosts.toml` names it.
    trust: HostTrust,
}

/// The registry of a host; `None` means Docker Hub.
///
/// # Errors
/// A `hosts.toml` or certificates for it that cannot be used, or a name that is no host.
pub(super) fn registry(transport: &Transport, host: Option<&str>) -> Result<Source, RegistryError> {
    match hosts_file(transport, host)?.server {
        Some(server) => Ok(Source::named(named(host).to_owned(), server, false)),
        None => registry_itself(transport, host),
    }
}

/// The host's part of references.
fn named(host: Option<&str>) -> &str {
    host.filter(|host| !is_hub(host)).unwrap_or(HUB)
}

fn hosts_file(transport: &Transport, host: Option<&str>) -> Result<HostsFile, RegistryError> {
    let file = HostsFile::load(&transport.settings().certificate_directories, named(host))?;
    Ok(file.unwrap_or_default())
}

/// The registry at the address that its name is.
fn registry_itself(transport: &Transport, host: Option<&str>) -> Result<Source, RegistryError> {
    let Some(host) = host.filter(|host| !is_hub(host)) else {
        let bases = vec![transport.settings().hub_registry.clone()];
        return Ok(Source::plain(HUB.to_owned(), bases, false));
    };
    let schemes: &[&str] = if transport.may_be_plain(host)? { &["https", "http"] } else { &["https"] };
    let bases = schemes
        .iter()
        .map(|scheme| Url::parse(&format!("{scheme}://{host}/")))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| RegistryError::Unreachable {
            registry: host.to_owned(),
            attempts: vec![error.to_string()],
            certificate_directories: Vec::new(),
        })?;
    Ok(Source::plain(host.to_owned(), bases, false))
}

/// Tries the sources of an image in turn: the mirrors that a `hosts.toml` names for its registry, Docker Hub's mirrors for an
/// image of Docker Hub, the registry. The failure of a mirror is not final.
///
/// # Errors
/// Those of [`registry`], the registry's error, or [`RegistryError::Cancelled`].
pub(super) fn ask_in_turn<T>(
    transport: &Transport,
    reference: &ImageReference,
    mut ask: impl FnMut(&Source) -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let host = reference.repository.host();
    let file = hosts_file(transport, host)?;
    let mirrors = file.mirrors.into_iter().filter(|mirror| mirror.serves(reference));
    let mut mirrors: Vec<_> =
        mirrors.map(|mirror| Source::named(host_and_port(&mirror.url), mirror, true)).collect();
    if host.is_none_or(is_hub) {
        for mirror in &transport.settings().mirrors {
            mirrors.push(Source::plain(host_and_port(mirror), vec![mirror.clone()], true));
        }
    }
    let registry = registry(transport, host)?;
    for mirror in &mirrors {
        match ask(mirror) {
            Err(RegistryError::Cancelled) => return Err(RegistryError::Cancelled),
            Err(error) => tracing::info!(%error, "a mirror failed, trying the next source"),
            done => return done,
        }
    }
    ask(&registry)
}

impl Source {
    fn plain(registry: String, bases: Vec<Url>, is_mirror: bool) -> Self {
        Self { registry, bases, is_mirror, overrides_path: false, trust: HostTrust::default() }
    }

    fn named(registry: String, host: RegistryHost, is_mirror: bool) -> Self {
        let RegistryHost { url, overrides_path, trust, .. } = host;
        Self { registry, bases: vec![url], is_mirror, overrides_path, trust }
    }

    /// Requests `/v2/` from each address and takes the first that is a registry.
    ///
    /// # Errors
    /// [`RegistryError::Unreachable`] with all attempts.
    pub(super) fn connect(&self, transport: &Transport) -> Result<ApiRoot, RegistryError> {
        let mut attempts = Vec::new();
        let mut suggest_insecure = false;
        for base in &self.bases {
            match self.ping(transport, base) {
                Ok(api_root) => return Ok(api_root),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Tried { what, tls }) => {
                    attempts.push(what);
                    suggest_insecure |= tls;
                }
            }
        }
        suggest_insecure &= self.bases.len() == 1 && !self.is_mirror && self.registry != HUB;
        let directories = &transport.settings().certificate_directories;
        let certificate_directories = if suggest_insecure { directories.clone() } else { Vec::new() };
        Err(RegistryError::Unreachable { registry: self.registry.clone(), attempts, certificate_directories })
    }

    fn ping(&self, transport: &Transport, base: &Url) -> Result<ApiRoot, Refusal> {
        let mut attempts = Attempts::new(transport.settings().retry, transport.cancellation());
        transport.trust(base, &self.trust);
        let mut root = base.clone();
        if !self.overrides_path {
            root.set_path(&format!("{}v2/", base.path()));
        }
        // A path of its own is one within a registry: the challenge comes from the registry's root.
        let mut asked = root.clone();
        if self.overrides_path {
            asked.set_path("/v2/");
        }
        loop {
            let mut request = Request::new(Method::GET, asked.clone());
            request.timeout = Some(TIMEOUT);
            let answer = match transport.send(request) {
                Ok(answer) => answer,
                Err(TransportError::Cancelled) => return Err(Refusal::Final(RegistryError::Cancelled)),
                Err(error @ TransportError::Certificates { .. }) => return Err(Refusal::Final(error.into())),
                Err(error) => {
                    let tls = root.scheme() == "https" && is_tls_failure(&error);
                    return Err(Refusal::Tried { what: error.to_string(), tls });
                }
            };
            if is_transient(answer.status) && attempts.pause(asked_pause(&answer)) {
                continue;
            }
            if !matches!(answer.status, StatusCode::OK | StatusCode::UNAUTHORIZED) {
                let status = answer.status;
                let what = format!("{} is no registry: status {status}", shown(&asked));
                return Err(Refusal::Tried { what, tls: false });
            }
            let values = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
            let challenges = if answer.status == StatusCode::UNAUTHORIZED {
                Challenge::parse_all(values.filter_map(|value| value.to_str().ok()))
            } else {
                Vec::new()
            };
            return Ok(ApiRoot { registry: self.registry.clone(), challenges, base: root });
        }
    }
}

enum Refusal {
    /// No other address is tried.
    Final(RegistryError),
    /// The next address may do.
    Tried { what: String, tls: bool },
}

/// Whether a failure suggests a peer that uses plain HTTP or has an unknown certificate.
fn is_tls_failure(error: &TransportError) -> bool {
    match error {
        TransportError::Exchange { source, .. } => match &**source {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
            ureq::Error::Io(error) => {
                matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
            }
            _ => false,
        },
        _ => false,
    }
}
