//! Credentials for registries, in every form that clients send them.
//!
//! `X-Registry-Auth` carries one base64 object, `X-Registry-Config` a base64 map from a
//! registry's address to such objects. Base64 comes with either alphabet, padded or not.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{ErrorKind, RepositoryName, json_words};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::host::{self, HUB, is_hub};

/// A header or body with credentials is malformed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The value is not base64.
    #[error("{place} is not base64")]
    NotBase64 {
        /// The header, or the body.
        place: &'static str,
        /// Its fault.
        source: base64::DecodeError,
    },
    /// The decoded value is not the documented JSON.
    #[error("{place} is not the JSON of credentials: {}", json_words(source))]
    NotCredentials {
        /// The header, or the body.
        place: &'static str,
        /// Its fault.
        source: serde_json::Error,
    },
    /// The `auth` field of credentials is not the base64 of `user:password`.
    #[error("the field auth of {place} is not the base64 of user:password")]
    NotUserPassword {
        /// The header, or the body.
        place: &'static str,
    },
}

impl AuthError {
    /// A malformed header is always the client's fault.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A user's identity, and its proof for a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name; empty when there is only a token.
    pub username: String,
    /// The password.
    pub password: String,
    /// The address that old registries require to make an account.
    pub email: String,
    /// The registry as the user named it: a host, perhaps with scheme and path.
    pub server_address: String,
    /// A refresh token of a token service.
    pub identity_token: String,
    /// A bearer token for the registry itself.
    pub registry_token: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Decodes the value of `X-Registry-Auth`: `None` when it is empty, `{}` or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is not the base64 of a JSON object.
    pub fn from_header(value: &str) -> Result<Option<Self>, AuthError> {
        const PLACE: &str = "the header X-Registry-Auth";
        let Some(json) = decode_base64(PLACE, value)? else { return Ok(None) };
        Self::from_json(PLACE, &json)
    }

    /// Decodes the JSON of credentials, as `POST /auth` and old pushes send it as a body.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is not a JSON object of strings.
    pub fn from_body(json: &[u8]) -> Result<Option<Self>, AuthError> {
        Self::from_json("the request's body", json)
    }

    fn from_json(place: &'static str, json: &[u8]) -> Result<Option<Self>, AuthError> {
        let wire = serde_json::from_slice(json)
            .and_then(wire_object)
            .map_err(|source| AuthError::NotCredentials { place, source })?;
        Ok(wire
            .map(|wire| wire.parse(place))
            .transpose()?
            .filter(|credentials| *credentials != Self::default()))
    }

    /// Whether there is nothing in it that could prove anything.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.username.is_empty() && self.identity_token.is_empty() && self.registry_token.is_empty()
    }
}

/// The credentials of a build: one set for each registry that it may pull from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialMap(BTreeMap<String, Credentials>);

impl CredentialMap {
    /// Decodes the value of `X-Registry-Config`: empty when the value is empty, `{}` or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is not the base64 of a JSON object of credentials.
    pub fn from_header(value: &str) -> Result<Self, AuthError> {
        const PLACE: &str = "the header X-Registry-Config";
        let Some(json) = decode_base64(PLACE, value)? else { return Ok(Self::default()) };
        let malformed = |source| AuthError::NotCredentials { place: PLACE, source };
        let wire: Option<BTreeMap<String, Value>> = serde_json::from_slice(&json).map_err(malformed)?;
        let mut map = BTreeMap::new();
        for (address, value) in wire.unwrap_or_default() {
            if let Some(credentials) = wire_object(value).map_err(malformed)? {
                map.insert(address, credentials.parse(PLACE)?);
            }
        }
        Ok(Self(map))
    }

    /// Finds the credentials for the registry of a repository.
    #[must_use]
    pub fn for_repository(&self, repository: &RepositoryName) -> Option<&Credentials> {
        self.for_host(repository.host().unwrap_or(HUB))
    }

    /// Finds the credentials for a registry's host; Docker Hub is found by all its names.
    #[must_use]
    pub fn for_host(&self, host: &str) -> Option<&Credentials> {
        self.0.get(host).or_else(|| {
            let wanted = |address: &String| {
                let known = host::of_address(address);
                known.eq_ignore_ascii_case(host) || (is_hub(known) && is_hub(host))
            };
            self.0.iter().find(|(address, _)| wanted(address)).map(|(_, credentials)| credentials)
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireCredentials {
    #[serde(deserialize_with = "text")]
    username: String,
    #[serde(deserialize_with = "text")]
    password: String,
    #[serde(deserialize_with = "text")]
    auth: String,
    #[serde(deserialize_with = "text")]
    email: String,
    #[serde(deserialize_with = "text")]
    serveraddress: String,
    #[serde(deserialize_with = "text")]
    identitytoken: String,
    #[serde(deserialize_with = "text")]
    registrytoken: String,
}

/// Takes an object, or `None` for `null`; a list is no object even where its length fits.
fn wire_object(value: Value) -> Result<Option<WireCredentials>, serde_json::Error> {
    match value {
        Value::Null => Ok(None),
        Value::Array(_) => Err(serde_json::Error::invalid_type(Unexpected::Seq, &"an object")),
        other => serde_json::from_value(other).map(Some),
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

impl WireCredentials {
    fn parse(self, place: &'static str) -> Result<Credentials, AuthError> {
        let (mut username, mut password) = (self.username, self.password);
        if username.is_empty() && !self.auth.is_empty() {
            let pair = decode_base64(place, &self.auth)?.unwrap_or_default();
            let pair = String::from_utf8(pair).map_err(|_| AuthError::NotUserPassword { place })?;
            let (user, secret) = pair.split_once(':').ok_or(AuthError::NotUserPassword { place })?;
            // Some clients pad the password with NUL bytes.
            (username, password) = (user.to_owned(), secret.trim_end_matches('\0').to_owned());
        }
        Ok(Credentials {
            username,
            password,
            email: self.email,
            server_address: self.serveraddress,
            identity_token: self.identitytoken,
            registry_token: self.registrytoken,
        })
    }
}

/// Decodes either alphabet, padded or not; `None` when nothing was sent.
fn decode_base64(place: &'static str, value: &str) -> Result<Option<Vec<u8>>, AuthError> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let standard: String = value
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    if standard.is_empty() {
        return Ok(None);
    }
    ENGINE.decode(standard).map(Some).map_err(|source| AuthError::NotBase64 { place, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};

    const JOE: &str = r#"{"username":"joe","password":"s~e?c>r","email":"j@x","serveraddress":"h:5"}"#;

    #[test]
    fn every_form_of_base64_is_read() {
        let forms =
            [BASE64_STANDARD.encode(JOE), BASE64_URL_SAFE.encode(JOE), BASE64_URL_SAFE_NO_PAD.encode(JOE)];
        for form in forms {
            let credentials = Credentials::from_header(&form).unwrap().unwrap();
            assert_eq!(credentials.username, "joe");
            assert_eq!(credentials.password, "s~e?c>r");
            assert_eq!(credentials.server_address, "h:5");
        }
    }

    #[test]
    fn nothing_is_no_credentials() {
        for nothing in ["", "  ", "e30=", "e30", "bnVsbA=="] {
            assert_eq!(Credentials::from_header(nothing).unwrap(), None, "{nothing:?}");
        }
        assert_eq!(CredentialMap::from_header("e30=").unwrap(), CredentialMap::default());
    }

    #[test]
    fn malformed_headers_are_refused() {
        for bad in ["%%%", "Z2FyYmFnZQ==", "W10=", &BASE64_STANDARD.encode(r#"{"username":5}"#)] {
            let error = Credentials::from_header(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
        assert!(CredentialMap::from_header("W10=").is_err());
    }

    #[test]
    fn the_auth_field_stands_for_user_and_password() {
        let auth = BASE64_STANDARD.encode("joe:se:cret");
        let header = BASE64_STANDARD.encode(format!(r#"{{"auth":"{auth}","identitytoken":null}}"#));
        let credentials = Credentials::from_header(&header).unwrap().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("joe", "se:cret"));
    }

    #[test]
    fn a_map_is_searched_by_host_and_by_the_hubs_names() {
        let header = BASE64_URL_SAFE.encode(
            r#"{"docker.example.com":{"username":"jane"},"https://index.docker.io/v1/":{"username":"moby"},
                "http://127.0.0.1:5000/v2/":{"username":"local"},"x":null}"#,
        );
        let map = CredentialMap::from_header(&header).unwrap();
        let user = |host| map.for_host(host).map(|credentials| credentials.username.as_str());
        assert_eq!(user("docker.example.com"), Some("jane"));
        assert_eq!(user("docker.io"), Some("moby"));
        assert_eq!(user("registry-1.docker.io"), Some("moby"));
        assert_eq!(user("127.0.0.1:5000"), Some("local"));
        assert_eq!(user("example.com"), None);
        let hub = RepositoryName::parse("busybox").unwrap();
        assert_eq!(map.for_repository(&hub).map(|known| known.username.as_str()), Some("moby"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { password: "hunter2".into(), ..Credentials::default() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
