//! Refuses requests from foreign web pages: where a listener does not authenticate its clients (TCP without
//! client certificates), the client may be a browser that shows any page.
//!
//! A page of another origin is recognised by `Origin`, which browsers send with every websocket and every request
//! that could change something. A page that reached the listener by a name of its own (DNS rebinding) is recognised
//! by `Host`: pages can be served under foreign names, not under addresses. What a page merely loads, an image for
//! example, comes without `Origin`; newer browsers send in `Sec-Fetch-Site` which page it is for (W3C Fetch
//! Metadata). Other clients send neither and are always served.

use std::net::{Ipv4Addr, Ipv6Addr};

use berth_http::RequestHead;
use http::{HeaderName, header};

use crate::ApiError;

/// The name that clients write which have a socket and no name to write.
const PLACEHOLDER: &str = "docker";

/// The relation of the requesting page to the server: `none`, `same-origin`, `same-site` or `cross-site`.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which pages may use the API, and by which names it may be reached.
#[derive(Debug, Default)]
pub struct OriginPolicy {
    origin: String,
    names: Vec<String>,
}

impl OriginPolicy {
    /// Lets pages of this origin in (`*` all, empty none but the host's own) and the host be called by these names.
    pub const fn new(origin: String, names: Vec<String>) -> Self {
        Self { origin, names }
    }

    /// Checks a request of a client that is not authenticated.
    ///
    /// # Errors
    /// Forbidden, with advice.
    pub(crate) fn check(&self, head: &RequestHead) -> Result<(), ApiError> {
        let host = head.header(&header::HOST);
        if !host.is_empty() && !self.is_own(host) {
            return Err(ApiError::forbidden(format!(
                "the host {host:?} is not allowed where clients show no certificate: use an address or localhost, \
                 or start the daemon with --allowed-host"
            )));
        }
        for origin in head.headers.get_all(header::ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            if !self.is_let_in(&origin, host) {
                return Err(ApiError::forbidden(format!(
                    "pages of the origin {origin:?} are not allowed where clients show no certificate: \
                     start the daemon with --api-cors-header"
                )));
            }
        }
        let is_named = self.origin == "*" || head.headers.contains_key(header::ORIGIN);
        for site in head.headers.get_all(FETCH_SITE) {
            if !is_named && !matches!(site.as_bytes(), b"none" | b"same-origin") {
                return Err(ApiError::forbidden(format!(
                    "pages of other sites ({FETCH_SITE}: {site:?}) are not allowed where clients show no certificate: \
                     start the daemon with --api-cors-header"
                )));
            }
        }
        Ok(())
    }

    /// Whether a `Host` names this host and cannot be a stranger's name for it.
    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host);
        if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name.parse::<Ipv4Addr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || name == PLACEHOLDER
            || self.names.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }

    fn is_let_in(&self, origin: &str, host: &str) -> bool {
        if self.origin == "*" || (!self.origin.is_empty() && self.origin.eq_ignore_ascii_case(origin)) {
            return true;
        }
        // The same host: the page came from the server that it calls.
        origin.split_once("://").is_some_and(|(scheme, from)| {
            let default = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
            let plain = |authority: &str| {
                let lower = authority.to_ascii_lowercase();
                lower.strip_suffix(default).unwrap_or(&lower).to_owned()
            };
            !from.is_empty() && plain(from) == plain(host)
        })
    }
}

/// A `Host` without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_localhost_and_names_of_the_flag() {
        let policy = OriginPolicy::new(String::new(), vec!["engine.example".to_owned()]);
        for own in [
            "127.0.0.1",
            "192.0.2.7:2375",
            "[::1]",
            "[2001:db8::1]:2375",
            "localhost",
            "LocalHost.:2375",
            "api.moby.localhost",
            "docker",
            "Engine.Example:2375",
        ] {
            assert!(policy.is_own(own), "{own}");
        }
        for strange in
            ["evil", "evil.example:2375", "127.0.0.1.evil.example", "[evil]", "::1", "localhost.evil", "1.2"]
        {
            assert!(!policy.is_own(strange), "{strange}");
        }
    }

    #[test]
    fn origins_are_the_named_one_and_the_host_itself() {
        let named = OriginPolicy::new("http://pages.example".to_owned(), Vec::new());
        assert!(named.is_let_in("http://pages.example", "127.0.0.1:2375"));
        assert!(named.is_let_in("http://127.0.0.1:2375", "127.0.0.1:2375"));
        assert!(named.is_let_in("http://127.0.0.1", "127.0.0.1:80"));
        for strange in
            ["http://evil.example", "null", "", "https://pages.example", "http://127.0.0.1:2376", "http://"]
        {
            assert!(!named.is_let_in(strange, "127.0.0.1:2375"), "{strange}");
        }
        assert!(!OriginPolicy::default().is_let_in("", ""), "no origin is named");
        assert!(OriginPolicy::new("*".to_owned(), Vec::new()).is_let_in("null", "127.0.0.1"));
    }
}
