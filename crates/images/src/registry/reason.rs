//! The words for what the HTTP library fails with.

use model::in_kernel_words;

use super::tls;

/// Gives in plain words why an exchange failed.
#[must_use]
pub fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => {
            let tls = error.get_ref().and_then(|error| error.downcast_ref());
            tls.map_or_else(|| in_kernel_words(&error.to_string()), tls::reason)
        }
        ureq::Error::HostNotFound => "the host is unknown".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Rustls(error) => tls::reason(error),
        ureq::Error::Protocol(error) => format!("the answer is not HTTP/1.1: {error}"),
        other => other.to_string(),
    }
}
