//! Which proxy a request goes through: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.

use std::net::IpAddr;

use url::Url;

use super::host::{self, same_prefix};

/// The proxies and the hosts that are reached without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// For `http` URLs.
    pub http: Option<String>,
    /// For `https` URLs.
    pub https: Option<String>,
    /// The entries of `NO_PROXY`.
    pub exceptions: Vec<String>,
}

impl ProxySettings {
    /// Reads the settings from environment variables, in upper or lower case.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            variable(name)
                .or_else(|| variable(&name.to_ascii_lowercase()))
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let exceptions = read("NO_PROXY").unwrap_or_default();
        Self {
            http: read("HTTP_PROXY"),
            https: read("HTTPS_PROXY"),
            exceptions: exceptions
                .split(',')
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|entry| !entry.is_empty())
                .collect(),
        }
    }

    /// The proxy for a URL, or `None` when it is reached directly.
    #[must_use]
    pub fn proxy_for(&self, url: &Url) -> Option<&str> {
        let proxy = if url.scheme() == "https" { self.https.as_deref() } else { self.http.as_deref() }?;
        let name = host::without_port(url.host_str()?).to_ascii_lowercase();
        let address: Option<IpAddr> = name.parse().ok();
        let loopback = name == "localhost" || address.is_some_and(|address| address.is_loopback());
        let excepted = |entry: &String| matches_exception(entry, &name, address, url.port_or_known_default());
        (!loopback && !self.exceptions.iter().any(excepted)).then_some(proxy)
    }
}

/// Whether an entry of `NO_PROXY` covers a host: `*`, a network, a domain with all below it, each
/// perhaps with a port.
fn matches_exception(entry: &str, name: &str, address: Option<IpAddr>, port: Option<u16>) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits), Some(address)) = (network.parse(), bits.parse(), address) else {
            return false;
        };
        return same_prefix(network, address, bits);
    }
    let (domain, wanted_port) = match entry.rsplit_once(':') {
        Some((domain, digits)) if !domain.contains(':') || domain.ends_with(']') => {
            (domain, digits.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    if wanted_port.is_some() && wanted_port != port {
        return false;
    }
    let domain = domain.trim_start_matches("*.").trim_start_matches('.');
    let domain = domain.trim_start_matches('[').trim_end_matches(']');
    name == domain || name.strip_suffix(domain).is_some_and(|front| front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(exceptions: &str) -> ProxySettings {
        ProxySettings::from_variables(|name| match name {
            "HTTP_PROXY" => Some("http://proxy:1".to_owned()),
            "https_proxy" => Some("http://proxy:2".to_owned()),
            "NO_PROXY" => Some(exceptions.to_owned()),
            _ => None,
        })
    }

    fn through(settings: &ProxySettings, url: &str) -> Option<String> {
        settings.proxy_for(&Url::parse(url).unwrap()).map(str::to_owned)
    }

    #[test]
    fn the_scheme_chooses_the_proxy() {
        let settings = settings("");
        assert_eq!(through(&settings, "http://a.b/").as_deref(), Some("http://proxy:1"));
        assert_eq!(through(&settings, "https://a.b/").as_deref(), Some("http://proxy:2"));
        assert_eq!(through(&ProxySettings::default(), "https://a.b/"), None);
    }

    #[test]
    fn the_loopback_is_reached_directly() {
        for url in ["http://127.0.0.1:5000/", "https://localhost/", "http://[::1]:5000/"] {
            assert_eq!(through(&settings(""), url), None, "{url}");
        }
    }

    #[test]
    fn exceptions_are_names_domains_networks_and_ports() {
        let settings = settings("example.com, .corp, 10.0.0.0/8,reg.x:5000,[fd00::1]:80");
        for direct in [
            "https://example.com/",
            "https://sub.example.com/",
            "http://a.corp/",
            "http://10.2.3.4:5000/",
            "http://reg.x:5000/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(through(&settings, direct), None, "{direct}");
        }
        for proxied in ["https://notexample.com/", "http://11.0.0.1/", "http://reg.x:5001/"] {
            assert!(through(&settings, proxied).is_some(), "{proxied}");
        }
        assert_eq!(through(&self::settings("*"), "https://a.b/"), None);
    }
}
