//! Checks credentials against a registry, its token service, or an index of version 1.

use model::ErrorKind;
use serde_json::json;
use ureq::http::{Method, StatusCode};
use url::Url;

use super::api_root::{self, ApiRoot};
use super::auth::Credentials;
use super::challenge::Challenge;
use super::error::RegistryError;
use super::host::{self, HUB_INDEX_ADDRESS, is_hub};
use super::proof::{Scope, basic};
use super::token::{self, IdentityToken, Wanted};
use super::transport::{Payload, Request, TIMEOUT, Transport, host_and_port, shown};

/// The answer to a successful login.
const SUCCEEDED: &str = "Login Succeeded";
/// How much of a refusal's text is read.
const TEXT_LIMIT: u64 = 4 << 10;

/// Credentials that a registry accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The text that clients show.
    pub status: String,
    /// Replaces the password from now on, where the token service issues one.
    pub identity_token: Option<String>,
}

impl LoggedIn {
    /// A success with this token.
    #[must_use]
    pub fn with(identity_token: Option<String>) -> Self {
        Self { status: SUCCEEDED.to_owned(), identity_token }
    }
}

pub(super) fn check(
    transport: &Transport,
    credentials: &Credentials,
    identity: IdentityToken,
) -> Result<LoggedIn, RegistryError> {
    let check_index = |host: &str| {
        let logged_in = check_index(transport, host, credentials)?;
        Some(logged_in.map(|status| LoggedIn { status, identity_token: None }))
    };
    let address = match credentials.server_address.trim() {
        "" => HUB_INDEX_ADDRESS,
        address => address,
    };
    let url = parse_address(address)?;
    let host = host_and_port(&url);
    if is_hub(host::without_port(&host)) {
        return check_registry(transport, None, credentials, identity);
    }
    match url.path().trim_matches('/') {
        "" | "v2" => match check_registry(transport, Some(&host), credentials, identity) {
            Err(error @ RegistryError::Unreachable { .. }) => check_index(&host).unwrap_or(Err(error)),
            outcome => outcome,
        },
        // Old configurations name a current registry so, too.
        "v1" => check_index(&host)
            .unwrap_or_else(|| check_registry(transport, Some(&host), credentials, identity)),
        path => Err(refused(
            ErrorKind::NotFound,
            format!("Unexpected status code [404] : {host} has no registry at /{path}"),
        )),
    }
}

fn parse_address(address: &str) -> Result<Url, RegistryError> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    match Url::parse(&whole) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => {
            Err(refused(ErrorKind::Invalid, format!("invalid registry address {address:?}: no http(s) host")))
        }
        Err(error) => {
            Err(refused(ErrorKind::Invalid, format!("invalid registry address {address:?}: {error}")))
        }
    }
}

fn refused(kind: ErrorKind, reason: String) -> RegistryError {
    RegistryError::Login { reason, kind }
}

/// Proves the credentials to a registry of version 2.
fn check_registry(
    transport: &Transport,
    host: Option<&str>,
    credentials: &Credentials,
    identity: IdentityToken,
) -> Result<LoggedIn, RegistryError> {
    let api_root = api_root::registry(transport, host)?.connect(transport)?;
    let url = api_root.url("");
    if api_root.challenges.is_empty() {
        return Err(RegistryError::Unchallenged(shown(&url)));
    }
    let mut failures = Vec::new();
    for challenge in &api_root.challenges {
        match prove(transport, &api_root, challenge, (credentials, identity))? {
            Ok(token) => return Ok(LoggedIn::with(token)),
            Err(failure) => failures.push(failure),
        }
    }
    let failures = failures.join(", ");
    let text = format!("no successful auth challenge for {} - errors: [{failures}]", shown(&url));
    Err(RegistryError::Unproven(text))
}

/// Answers one challenge; the inner error has the reason why the registry refuses them.
fn prove(
    transport: &Transport,
    api_root: &ApiRoot,
    challenge: &Challenge,
    (credentials, identity): (&Credentials, IdentityToken),
) -> Result<Result<Option<String>, String>, RegistryError> {
    let mut identity_token = None;
    let url = api_root.url("");
    let mut request = Request::new(Method::GET, url.clone());
    let attempt = match challenge {
        Challenge::Basic { realm } => {
            request.authorization = basic(credentials);
            format!("basic auth attempt to {} realm {realm:?}", shown(&url))
        }
        Challenge::Bearer { realm, service, .. } => {
            if credentials.is_anonymous() {
                return Ok(Err(format!("token auth attempt to {realm}: no credentials were given")));
            }
            let scope = Scope(Vec::new());
            let wanted = Wanted { realm, service: service.as_deref(), scope: &scope, identity };
            match token::fetch(transport, api_root, &wanted, Some(credentials)) {
                Ok(token) => {
                    request.authorization = Some(format!("Bearer {}", token.value));
                    identity_token = token.identity;
                }
                Err(RegistryError::Unauthorized { reason }) => {
                    return Ok(Err(format!("token auth attempt to {realm} failed: {reason}")));
                }
                Err(error) => return Err(error),
            }
            format!("token auth attempt for registry {}", shown(&url))
        }
    };
    let answer = transport.send(request)?;
    Ok(if answer.status == StatusCode::OK {
        Ok(identity_token)
    } else {
        Err(format!("{attempt} failed with status: {}", answer.status))
    })
}

/// Checks the credentials at an index of version 1, which makes the account when it is new.
///
/// `None` when no such index answers.
fn check_index(
    transport: &Transport,
    host: &str,
    credentials: &Credentials,
) -> Option<Result<String, RegistryError>> {
    let plain = transport.may_be_plain(host).ok()?;
    let schemes: &[&str] = if plain { &["https", "http"] } else { &["https"] };
    let base = schemes.iter().find_map(|scheme| {
        let base = Url::parse(&format!("{scheme}://{host}/v1/")).ok()?;
        let mut ping = Request::new(Method::GET, base.join("_ping").ok()?);
        ping.timeout = Some(TIMEOUT);
        let ping = transport.send(ping).ok()?;
        (ping.status == StatusCode::OK).then_some(base)
    })?;
    Some(log_in(transport, &base, credentials))
}

fn log_in(transport: &Transport, base: &Url, credentials: &Credentials) -> Result<String, RegistryError> {
    let mut users = base.clone();
    users.set_path(&format!("{}users/", base.path()));
    let account = json!({
        "username": credentials.username, "password": credentials.password, "email": credentials.email
    })
    .to_string();
    let mut creation = Request::new(Method::POST, users.clone());
    creation.payload = Payload::Bytes("application/json; charset=utf-8", account.as_bytes());
    let answer = transport.send(creation)?;
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.read_up_to(TEXT_LIMIT).unwrap_or_default()).into_owned();
    match status {
        StatusCode::CREATED => Ok(format!(
            "Account created. Please see the documentation of the registry {base} for instructions how to \
             activate it."
        )),
        StatusCode::BAD_REQUEST if !text.contains("already exists") => {
            Err(refused(ErrorKind::Invalid, format!("Registration: {text}")))
        }
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
            let mut request = Request::new(Method::GET, users);
            request.authorization = basic(credentials);
            match transport.send(request)?.status {
                StatusCode::OK => Ok(SUCCEEDED.to_owned()),
                StatusCode::UNAUTHORIZED => {
                    Err(refused(ErrorKind::Unauthorized, "Wrong login/password, please try again".to_owned()))
                }
                StatusCode::FORBIDDEN => Err(refused(
                    ErrorKind::Forbidden,
                    format!(
                        "Login: Account is not active. Please see the documentation of the registry {base} for instructions how to activate it."
                    ),
                )),
                other => Err(refused(ErrorKind::Invalid, format!("Login: unexpected status code {other}"))),
            }
        }
        other => Err(refused(
            ErrorKind::Invalid,
            format!("Unexpected status code [{}] : {}", other.as_u16(), text.trim()),
        )),
    }
}
