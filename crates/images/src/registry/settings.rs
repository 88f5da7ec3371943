//! How registries are reached: which may be insecure, mirrors, certificates, proxies, time limits.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::host;
use super::host::same_prefix;
use super::manifest::Platform;
use super::proxy::ProxySettings;

/// How long a name may take to resolve.
pub(super) const RESOLVE_TIME: Duration = Duration::from_secs(5);

/// How often dockerd tries to download a layer where nothing else is set.
const DOWNLOAD_ATTEMPTS: u32 = 5;

/// More attempts than these are too many: they take eight hours.
const MOST_ATTEMPTS: u32 = 1000;

/// How much longer dockerd pauses before each further download of a layer.
const DOCKERD_PAUSE: Duration = Duration::from_secs(5);

/// A setting for registries is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Neither a host nor a network in CIDR notation.
    #[error("invalid insecure registry {0:?}: want HOST, HOST:PORT or a network such as 10.0.0.0/8")]
    InsecureRegistry(String),
    /// Not an http or https URL without a path's query.
    #[error(
        "invalid registry mirror {0:?}: want http://HOST or https://HOST, without user, query or fragment"
    )]
    Mirror(String),
}

/// How the engine talks to registries.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Registries that may use plain HTTP or have unknown certificates, in addition to the loopback.
    pub insecure: Vec<InsecureRegistry>,
    /// Tried before Docker Hub for its images, in this order.
    pub mirrors: Vec<Url>,
    /// Directories with one directory a registry: `HOST:PORT/*.crt`, `*.cert` and `*.key`.
    pub certificate_directories: Vec<PathBuf>,
    /// The proxies to use; those of the environment where none are given.
    pub proxies: Option<ProxySettings>,
    /// How often and how soon a failed request is tried again.
    pub retry: Retry,
    /// The same for the download of a layer, whose registry has answered before.
    pub download_retry: Retry,
    /// How many layers of one pull are downloaded at once.
    pub parallel_downloads: usize,
    /// How many layers of one push are compressed and uploaded at once: while one is sent, another is
    /// compressed.
    pub parallel_uploads: usize,
    /// The platform whose images are taken from lists.
    pub platform: Platform,
    /// Docker Hub's registry.
    pub hub_registry: Url,
    /// Docker Hub's index, for searches and old logins.
    pub hub_index: Url,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certificate_directories: vec!["/etc/berth/certs.d".into(), "/etc/docker/certs.d".into()],
            proxies: None,
            retry: Retry::default(),
            download_retry: Retry::of_downloads(DOWNLOAD_ATTEMPTS),
            parallel_downloads: 3,
            parallel_uploads: 5,
            platform: Platform::host(),
            hub_registry: known_url(&format!("https://{}/", host::HUB_REGISTRY)),
            hub_index: known_url(&format!("https://{}/", host::HUB_INDEX)),
        }
    }
}

fn known_url(text: &str) -> Url {
    #[expect(clippy::expect_used, reason = "the argument is made of this crate's constants")]
    Url::parse(text).expect("the hub's address is a URL")
}

impl RegistrySettings {
    /// Whether a registry may use plain HTTP or have an unknown certificate.
    #[must_use]
    pub fn is_insecure(&self, host: &str) -> bool {
        let name = host::without_port(host);
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        if self.insecure.iter().any(|entry| entry.names(host)) {
            return true;
        }
        let in_a_network = |address: IpAddr| {
            address.is_loopback() || self.insecure.iter().any(|entry| entry.contains(address))
        };
        if let Some(address) = host::address_of(host) {
            return in_a_network(address);
        }
        // Names are resolved only when a network is configured: it costs time without a network.
        self.insecure.iter().any(InsecureRegistry::is_network)
            && addresses_of(name).into_iter().any(in_a_network)
    }
}

/// The addresses of a name; none where the resolver takes too long.
fn addresses_of(name: &str) -> Vec<IpAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let name = name.to_owned();
    let resolve = move || {
        let found =
            (name.as_str(), 443).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        // The waiter may have given up.
        let _ = sender.send(found.unwrap_or_default());
    };
    match std::thread::Builder::new().name("resolve".to_owned()).spawn(resolve) {
        Ok(_) => receiver.recv_timeout(RESOLVE_TIME).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// A registry, or a network of registries, that may be insecure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsecureRegistry {
    /// A host; with a port only that port.
    Host(String),
    /// Every address that begins with so many bits of this one.
    Network {
        /// The network's address.
        address: IpAddr,
        /// How many bits count.
        prefix_bits: u8,
    },
}

impl InsecureRegistry {
    /// Parses `HOST`, `HOST:PORT` or a network in CIDR notation.
    ///
    /// # Errors
    /// [`SettingError::InsecureRegistry`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let invalid = || SettingError::InsecureRegistry(text.to_owned());
        let text = text.trim();
        let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| invalid())?;
            let prefix_bits: u8 = bits.parse().map_err(|_| invalid())?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            return if prefix_bits <= longest {
                Ok(Self::Network { address, prefix_bits })
            } else {
                Err(invalid())
            };
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(invalid());
        }
        Ok(Self::Host(text.to_owned()))
    }

    const fn is_network(&self) -> bool {
        matches!(self, Self::Network { .. })
    }

    fn names(&self, host: &str) -> bool {
        match self {
            Self::Network { .. } => false,
            Self::Host(name) => {
                name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(host::without_port(host))
            }
        }
    }

    fn contains(&self, wanted: IpAddr) -> bool {
        match self {
            Self::Host(_) => false,
            Self::Network { address, prefix_bits } => same_prefix(*address, wanted, *prefix_bits),
        }
    }
}

/// Parses the address of a mirror.
///
/// # Errors
/// [`SettingError::Mirror`] when it is no plain http or https URL.
pub fn parse_mirror(text: &str) -> Result<Url, SettingError> {
    let invalid = || SettingError::Mirror(text.to_owned());
    let mut url = Url::parse(text.trim()).map_err(|_| invalid())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(invalid());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// How often and how soon a request is tried again that failed for a reason that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often in all.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause, also where the registry requests more.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(30) }
    }
}

impl Retry {
    /// That of downloads: continues at least as long as dockerd with so many attempts, which pauses 5, 10, 15 seconds and
    /// so on, but begins much sooner.
    #[must_use]
    pub fn of_downloads(attempts: u32) -> Self {
        let pauses = u64::from(attempts).saturating_sub(1);
        let patience =
            DOCKERD_PAUSE.as_secs().saturating_mul(pauses).saturating_mul(pauses.saturating_add(1)) / 2;
        let patience = Duration::from_secs(patience);
        let mut retry = Self { attempts: 1, ..Self::default() };
        let mut paused = Duration::ZERO;
        while paused < patience && retry.attempts < MOST_ATTEMPTS {
            paused += retry.pause(retry.attempts, None);
            retry.attempts += 1;
        }
        retry
    }

    /// The pause after so many failures, at least the one that the registry requested.
    pub(super) fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.max(asked.unwrap_or_default()).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_always_insecure() {
        let settings = RegistrySettings::default();
        for host in ["127.0.0.1:5000", "127.8.9.1", "localhost:5000", "[::1]:5000"] {
            assert!(settings.is_insecure(host), "{host}");
        }
        for host in ["10.0.0.1:5000", "example.com", "docker.io", "localhost.example.com"] {
            assert!(!settings.is_insecure(host), "{host}");
        }
    }

    #[test]
    fn hosts_and_networks_are_distinguished() {
        let insecure = ["reg.example.com:5000", "10.1.0.0/16", "plain.example.com", "fd00::/8"]
            .map(|text| InsecureRegistry::parse(text).unwrap());
        let settings = RegistrySettings { insecure: insecure.to_vec(), ..RegistrySettings::default() };
        for host in
            ["reg.example.com:5000", "10.1.255.3:80", "plain.example.com:1", "plain.example.com", "[fd00::1]"]
        {
            assert!(settings.is_insecure(host), "{host}");
        }
        for host in ["10.2.0.1", "[fe80::1]:5000"] {
            assert!(!settings.is_insecure(host), "{host}");
        }
        for bad in ["", "10.0.0.0/33", "a b", "x/y", "10.0.0.0/"] {
            assert!(InsecureRegistry::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mirrors_are_plain_urls() {
        assert_eq!(parse_mirror("http://10.0.0.1:5000").unwrap().as_str(), "http://10.0.0.1:5000/");
        assert_eq!(parse_mirror("https://m.x/hub").unwrap().as_str(), "https://m.x/hub/");
        for bad in ["m.x", "ftp://m.x", "http://u:p@m.x", "http://m.x?q", "http://m.x#f"] {
            assert!(parse_mirror(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let retry = Retry {
            attempts: 9,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(1),
        };
        let pauses = [1, 2, 3, 8].map(|failures| retry.pause(failures, None).as_millis());
        assert_eq!(pauses, [100, 200, 400, 1000]);
        assert_eq!(retry.pause(1, Some(Duration::from_millis(700))).as_millis(), 700);
    }

    #[test]
    fn downloads_go_on_as_long_as_those_of_dockerd() {
        for (attempts, own, seconds) in [(0, 1, 0), (1, 1, 0), (2, 5, 5), (5, 8, 50), (10, 14, 225)] {
            let retry = Retry::of_downloads(attempts);
            assert_eq!(retry.attempts, own, "{attempts}");
            let paused: Duration = (1..retry.attempts).map(|failures| retry.pause(failures, None)).sum();
            assert!(paused >= Duration::from_secs(seconds), "{attempts}: {paused:?}");
        }
        assert_eq!(Retry::of_downloads(u32::MAX).attempts, MOST_ATTEMPTS);
    }
}
