//! The credentials for a server of repositories: a secret of the client that belongs to the server's host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ContextError;
use super::git::Authorization;
use crate::request::Provisions;

/// The secret that is the whole value of the header.
const HEADER: &str = "GIT_AUTH_HEADER";
/// The secret that is a token.
const TOKEN: &str = "GIT_AUTH_TOKEN";
/// The user that servers take a token from.
const TOKEN_USER: &str = "x-access-token";

/// The client's secret for the server of an address; one for the host takes precedence over one for all.
///
/// # Errors
/// [`ContextError::Secret`] when the client cannot be reached, or a secret is not text.
pub(super) fn authorization(
    address: &str,
    provisions: Option<&dyn Provisions>,
) -> Result<Option<Authorization>, ContextError> {
    let (Some(provisions), Some((scheme, rest))) = (provisions, address.split_once("://")) else {
        return Ok(None);
    };
    if !matches!(scheme, "http" | "https") {
        return Ok(None);
    }
    let server = rest.split('/').next().unwrap_or_default();
    // An address with a user has its own credentials.
    if server.is_empty() || server.contains('@') {
        return Ok(None);
    }
    let secret = |name: &str| {
        let bytes = provisions.secret(name)?;
        let text =
            bytes.map(String::from_utf8).transpose().map_err(|_| ContextError::NoText(name.to_owned()))?;
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        match text {
            Some(text) if text.chars().any(char::is_control) => Err(ContextError::NoText(name.to_owned())),
            text => Ok(text.filter(|text| !text.is_empty())),
        }
    };
    for suffix in [format!(".{server}"), String::new()] {
        let header = secret(&format!("{HEADER}{suffix}"))?;
        let header = match header {
            Some(header) => Some(header),
            None => secret(&format!("{TOKEN}{suffix}"))?
                .map(|token| format!("basic {}", STANDARD.encode(format!("{TOKEN_USER}:{token}")))),
        };
        if let Some(header) = header {
            let server = format!("{scheme}://{server}/");
            return Ok(Some(Authorization { server, header: format!("Authorization: {header}") }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::runner::StepError;

    struct Secrets(&'static [(&'static str, &'static str)]);

    impl Provisions for Secrets {
        fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, StepError> {
            let found = self.0.iter().find(|(name, _)| *name == id);
            Ok(found.map(|(_, value)| value.as_bytes().to_vec()))
        }

        fn ssh_agent(&self, _: &str) -> Result<Option<PathBuf>, StepError> {
            Ok(None)
        }
    }

    fn value(address: &str, secrets: &'static [(&'static str, &'static str)]) -> Option<String> {
        let found = authorization(address, Some(&Secrets(secrets))).expect("an answer");
        found.map(|found| format!("{} {}", found.server, found.header))
    }

    #[test]
    fn a_secret_for_the_host_goes_first() {
        let secrets = &[
            ("GIT_AUTH_TOKEN", "all"),
            ("GIT_AUTH_TOKEN.host:1", "one"),
            ("GIT_AUTH_HEADER.other", "Bearer x\n"),
        ];
        let name = |server: &str| format!("https://{server}/ Authorization: ");
        assert_eq!(
            value("https://host:1/a.git", secrets),
            Some(name("host:1") + "basic eC1hY2Nlc3MtdG9rZW46b25l")
        );
        assert_eq!(
            value("https://host/a.git", secrets),
            Some(name("host") + "basic eC1hY2Nlc3MtdG9rZW46YWxs")
        );
        assert_eq!(value("https://other/a.git", secrets), Some(name("other") + "Bearer x"));
        assert_eq!(value("git://host/a.git", secrets), None);
        assert_eq!(value("https://me:word@host/a.git", secrets), None);
        assert_eq!(value("https://host/a.git", &[]), None);
    }

    #[test]
    fn a_secret_adds_one_header() {
        let secrets = Secrets(&[("GIT_AUTH_HEADER", "a\nX-Other: b")]);
        assert!(authorization("https://host/a.git", Some(&secrets)).is_err());
    }
}
