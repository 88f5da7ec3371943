//! Gets bearer tokens from the token service that a registry names.

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};
use url::Url;
use url::form_urlencoded::Serializer;

use super::api_root::ApiRoot;
use super::auth::Credentials;
use super::error::RegistryError;
use super::loose;
use super::proof::{Scope, basic, explanation};
use super::retry::{Attempts, asked_pause, is_transient};
use super::transport::{Answer, Payload, Request, Transport};

/// How long a token lasts that has no lifetime of its own.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is renewed so long before its end.
const MARGIN: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_LIMIT: u64 = 1 << 20;
/// The name of this engine in requests for tokens.
const CLIENT: &str = "berth";

/// Whether an identity token is requested, which replaces the password from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityToken {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
}

/// A bearer token.
pub(super) struct Token {
    pub(super) value: String,
    /// Replaces the password from now on.
    pub(super) identity: Option<String>,
    pub(super) expires: Instant,
}

/// Which token is wanted of which service.
pub(super) struct Wanted<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: &'a Scope,
    pub(super) identity: IdentityToken,
}

#[derive(Deserialize)]
struct WireToken {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "loose::whole_number")]
    expires_in: Option<u64>,
}

/// Requests a token from the service.
///
/// # Errors
/// [`RegistryError::Unauthorized`] when it refuses the credentials, else
/// [`RegistryError::TokenService`].
pub(super) fn fetch(
    transport: &Transport,
    api_root: &ApiRoot,
    wanted: &Wanted<'_>,
    credentials: Option<&Credentials>,
) -> Result<Token, RegistryError> {
    let failed = |reason: String| RegistryError::TokenService { realm: wanted.realm.to_owned(), reason };
    let realm = Url::parse(wanted.realm).map_err(|error| failed(error.to_string()))?;
    let secret = credentials.is_some();
    if realm.scheme() != "https" && api_root.is_https() && secret {
        return Err(failed("it is not reached by https, so it gets no credentials".to_owned()));
    }
    let answer = ask(transport, &realm, wanted, credentials)?;
    let status = answer.status;
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let message = explanation(answer);
        let message = if message.is_empty() { "unauthorized".to_owned() } else { message };
        let who = credentials.map_or_else(
            || "no credentials were given".to_owned(),
            |known| format!("the user name {:?} or its password or token is refused", known.username),
        );
        let reason = format!("{message}: {who} at {}", wanted.realm);
        return Err(RegistryError::Unauthorized { reason });
    }
    if status != StatusCode::OK {
        return Err(failed(format!("unexpected status {} {}", status.as_u16(), explanation(answer))));
    }
    let bytes = answer.read_up_to(ANSWER_LIMIT).map_err(|error| failed(error.to_string()))?;
    parse(&bytes).map_err(failed)
}

fn parse(bytes: &[u8]) -> Result<Token, String> {
    let wire: WireToken = serde_json::from_slice(bytes).map_err(|error| model::json_words(&error))?;
    let value = wire
        .token
        .filter(|token| !token.is_empty())
        .or(wire.access_token)
        .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or("the answer has no token")?;
    let life = wire.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).min(Duration::from_secs(24 * 3600));
    let identity = wire.refresh_token.filter(|token| !token.is_empty());
    Ok(Token { value, identity, expires: Instant::now() + life.saturating_sub(MARGIN) })
}

fn ask(
    transport: &Transport,
    realm: &Url,
    wanted: &Wanted<'_>,
    credentials: Option<&Credentials>,
) -> Result<Answer, RegistryError> {
    let mut attempts = Attempts::new(transport.settings().retry, transport.cancellation());
    let refresh = credentials.filter(|known| !known.identity_token.is_empty());
    let form = refresh.map(|known| refresh_form(wanted, known));
    loop {
        let mut request = match &form {
            Some(form) => {
                let mut request = Request::new(Method::POST, realm.clone());
                request.payload = Payload::Bytes("application/x-www-form-urlencoded", form.as_bytes());
                request
            }
            None => {
                let mut request = Request::new(Method::GET, query(realm, wanted, credentials));
                request.authorization = credentials.and_then(basic);
                request
            }
        };
        request.headers.push((header::ACCEPT, "application/json".to_owned()));
        let asked = match transport.send(request) {
            Ok(answer) if is_transient(answer.status) => {
                let asked = asked_pause(&answer);
                if !attempts.pause(asked) {
                    return Ok(answer);
                }
                continue;
            }
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error.into()),
        };
        if !attempts.pause(None) {
            return Err(asked.into());
        }
    }
}

/// The query of a request with user and password, or without any.
fn query(realm: &Url, wanted: &Wanted<'_>, credentials: Option<&Credentials>) -> Url {
    let mut url = realm.clone();
    {
        let mut pairs = url.query_pairs_mut();
        if let Some(known) = credentials.filter(|known| !known.username.is_empty()) {
            pairs.append_pair("account", &known.username);
        }
        if let Some(service) = wanted.service {
            pairs.append_pair("service", service);
        }
        for scope in &wanted.scope.0 {
            pairs.append_pair("scope", scope);
        }
        pairs.append_pair("client_id", CLIENT);
        if wanted.identity == IdentityToken::Wanted {
            pairs.append_pair("offline_token", "true");
        }
    }
    url
}

/// The form of a request with a refresh token (RFC 6749, section 6).
fn refresh_form(wanted: &Wanted<'_>, credentials: &Credentials) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("refresh_token", &credentials.identity_token);
    form.append_pair("client_id", CLIENT);
    form.append_pair("access_type", "offline");
    if let Some(service) = wanted.service {
        form.append_pair("service", service);
    }
    if !wanted.scope.0.is_empty() {
        form.append_pair("scope", &wanted.scope.0.join(" "));
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_token_are_read() {
        assert_eq!(parse(br#"{"token":"a"}"#).unwrap().value, "a");
        assert_eq!(parse(br#"{"token":"","access_token":"b","expires_in":300}"#).unwrap().value, "b");
        for bad in ["{}", "", "[]", r#"{"token":"a\r\nX: y"}"#, r#"{"token":5}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_given_up_before_its_end() {
        let token = parse(br#"{"token":"a","expires_in":5}"#).unwrap();
        assert!(token.expires <= Instant::now());
        assert!(parse(br#"{"token":"a","expires_in":18446744073709551615}"#).is_ok());
    }
}
