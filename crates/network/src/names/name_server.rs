//! Containers whose name server is their own at 127.0.0.11, on networks where containers are found by name: the
//! content of their `/etc/resolv.conf`, and the upstream servers for other names.

use std::net::IpAddr;

use model::NameServer;

use super::resolv_conf::{FALLBACK, NameServers, Parsed};

/// The address of the container's own name server, on every network with names.
const OWN_SERVER: &str = "127.0.0.11";

/// A server for names that are not those of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamServer {
    /// A server that was set for containers, queried from the container's network.
    Given(IpAddr),
    /// One of the host's, queried from the host's network, since it may be on the host's loopback.
    Host(IpAddr),
}

/// Whether a container has a way out of its networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is on a network that leads outside.
    Outside,
    /// All of its networks are internal: the host does not forward its queries.
    Internal,
}

/// How names are resolved in a container with a name server of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNameServer {
    /// The content of `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Its upstream servers, in this order.
    pub upstream: Vec<UpstreamServer>,
    /// Whether it does not forward other names of one label: an `ndots` above 0 was requested, with which the
    /// client adds its search domains.
    pub keeps_single_labels: bool,
}

impl OwnNameServer {
    /// Combines the host's file with the requested settings. These replace the host's, and the host's `ndots`
    /// is dropped: names of containers have one label and must be queried as they are.
    #[must_use]
    pub fn new(host: &str, asked: &NameServers, reach: Reach) -> Self {
        let own = Parsed::of(host);
        let words = |words: &[String]| words.join(" ");
        let mut content = format!("nameserver {OWN_SERVER}\n");
        let search = if asked.search.is_empty() { own.search.join(" ") } else { words(&asked.search) };
        if !search.is_empty() && search != "." {
            content.push_str(&format!("search {search}\n"));
        }
        let mut options: Vec<&str> = if asked.options.is_empty() {
            own.options.iter().copied().filter(|option| ndots(option).is_none()).collect()
        } else {
            asked.options.iter().map(String::as_str).collect()
        };
        if !options.iter().any(|option| ndots(option).is_some()) {
            options.push("ndots:0");
        }
        content.push_str(&format!("options {}\n", options.join(" ")));
        Self {
            resolv_conf: content,
            upstream: upstream(&own, asked, reach),
            keeps_single_labels: asked
                .options
                .iter()
                .any(|option| ndots(option).is_some_and(|dots| dots > 0)),
        }
    }
}

/// The requested ones, else the host's, else public ones.
fn upstream(host: &Parsed<'_>, asked: &NameServers, reach: Reach) -> Vec<UpstreamServer> {
    let addresses = |servers: &mut dyn Iterator<Item = &str>| -> Vec<IpAddr> {
        servers.filter_map(|server| server.parse().ok()).collect()
    };
    let given: Vec<IpAddr> = asked.servers.iter().filter_map(NameServer::address).collect();
    if !given.is_empty() {
        return given.into_iter().map(UpstreamServer::Given).collect();
    }
    if reach == Reach::Internal {
        return Vec::new();
    }
    let hosts = addresses(&mut host.servers.iter().copied());
    if hosts.is_empty() {
        return addresses(&mut FALLBACK.into_iter()).into_iter().map(UpstreamServer::Given).collect();
    }
    hosts.into_iter().map(UpstreamServer::Host).collect()
}

/// The number of resolv.conf's option `ndots`; 0 for one that cannot be read.
fn ndots(option: &str) -> Option<u32> {
    option.strip_prefix("ndots:").map(|dots| dots.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "nameserver 127.0.0.53\nnameserver fd00::1\nsearch a.example\noptions edns0 ndots:2\n";

    fn asked(servers: &[&str], search: &[&str], options: &[&str]) -> NameServers {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let servers = servers.iter().map(|server| server.parse().expect("any word")).collect();
        NameServers { servers, search: words(search), options: words(options) }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn without_a_wish_the_host_is_asked_and_its_domains_are_searched() {
        let server = OwnNameServer::new(HOST, &NameServers::default(), Reach::Outside);
        assert_eq!(server.resolv_conf, "nameserver 127.0.0.11\nsearch a.example\noptions edns0 ndots:0\n");
        let hosts = [address("127.0.0.53"), address("fd00::1")].map(UpstreamServer::Host);
        assert_eq!(server.upstream, hosts);
        assert!(!server.keeps_single_labels);
    }

    #[test]
    fn what_is_asked_replaces_the_hosts() {
        let wish = asked(&["192.0.2.1", "127.0.0.1"], &["b.example", "c.example"], &["timeout:1", "ndots:3"]);
        let server = OwnNameServer::new(HOST, &wish, Reach::Internal);
        assert_eq!(
            server.resolv_conf,
            "nameserver 127.0.0.11\nsearch b.example c.example\noptions timeout:1 ndots:3\n"
        );
        let given = [address("192.0.2.1"), address("127.0.0.1")].map(UpstreamServer::Given);
        assert_eq!(server.upstream, given);
        assert!(server.keeps_single_labels);
    }

    #[test]
    fn a_single_dot_searches_nothing_and_ndots_0_sends_all_upstream() {
        let server = OwnNameServer::new(HOST, &asked(&[], &["."], &["ndots:0"]), Reach::Outside);
        assert_eq!(server.resolv_conf, "nameserver 127.0.0.11\noptions ndots:0\n");
        assert!(!server.keeps_single_labels);
        let server = OwnNameServer::new(HOST, &asked(&[], &[], &["rotate"]), Reach::Outside);
        assert_eq!(server.resolv_conf, "nameserver 127.0.0.11\nsearch a.example\noptions rotate ndots:0\n");
    }

    #[test]
    fn the_host_asks_nobody_for_containers_of_internal_networks() {
        let nothing = NameServers::default();
        assert_eq!(OwnNameServer::new(HOST, &nothing, Reach::Internal).upstream, []);
        let fallback = [address("8.8.8.8"), address("8.8.4.4")].map(UpstreamServer::Given);
        assert_eq!(OwnNameServer::new("", &nothing, Reach::Outside).upstream, fallback);
        assert_eq!(OwnNameServer::new("", &nothing, Reach::Internal).upstream, []);
    }
}
