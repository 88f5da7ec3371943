//! The content of `/etc/resolv.conf`: the host's servers or the requested ones.

use std::net::IpAddr;
use std::path::Path;

use model::NameServer;

use super::read_on_host;
use crate::Error;

/// Used when the host has only servers that a container cannot reach.
pub(super) const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// Where systemd-resolved lists the servers behind its local one.
const RESOLVED_UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED_STUB: &str = "127.0.0.53";

/// `Dns`, `DnsSearch` and `DnsOptions`, of a container or of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameServers {
    /// Servers.
    pub servers: Vec<NameServer>,
    /// Search domains; a single `.` means an empty list.
    pub search: Vec<String>,
    /// Options as resolv.conf(5).
    pub options: Vec<String>,
}

impl NameServers {
    /// Takes from `other` (the daemon's flags) what is not set here (by the container).
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let choose = |own: &[String], other: &[String]| {
            let own: Vec<_> = own.iter().filter(|word| !word.is_empty()).cloned().collect();
            if own.is_empty() { other.to_vec() } else { own }
        };
        Self {
            servers: if self.servers.iter().all(NameServer::is_empty) {
                &other.servers
            } else {
                &self.servers
            }
            .iter()
            .filter(|server| !server.is_empty())
            .cloned()
            .collect(),
            search: choose(&self.search, &other.search),
            options: choose(&self.options, &other.options),
        }
    }
}

/// The use of the host's own servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostServers {
    /// Those that a container in its own network cannot reach are left out: loopback ones, and
    /// those of IPv6.
    Reachable,
    /// All stay: the container is in the host's network.
    All,
}

/// Reads the host's resolv.conf; where it only names systemd-resolved's local server, the file
/// with the servers behind it. A missing file is an empty one.
///
/// # Errors
/// [`Error::File`] when a file cannot be read.
pub fn host_resolv_conf(path: &Path) -> Result<String, Error> {
    let content = read_on_host(path)?;
    let parsed = Parsed::of(&content);
    if parsed.servers == [RESOLVED_STUB] {
        let upstream = read_on_host(Path::new(RESOLVED_UPSTREAM))?;
        if !upstream.is_empty() {
            return Ok(upstream);
        }
    }
    Ok(content)
}

/// Combines the host's file with the requested settings. Without any, the host's file stays as it is, except
/// for servers out of reach.
#[must_use]
pub fn resolv_conf(host: &str, asked: &NameServers, host_servers: HostServers) -> String {
    if asked.servers.is_empty() && asked.search.is_empty() && asked.options.is_empty() {
        return match host_servers {
            HostServers::All => host.to_owned(),
            HostServers::Reachable => without_unreachable(host),
        };
    }
    let own = Parsed::of(host);
    let servers: Vec<String> = if asked.servers.is_empty() {
        let mut servers = own.servers;
        if host_servers == HostServers::Reachable {
            servers.retain(|server| is_reachable(server));
            if servers.is_empty() {
                servers = FALLBACK.to_vec();
            }
        }
        servers.into_iter().map(str::to_owned).collect()
    } else {
        asked.servers.iter().map(NameServer::to_string).collect()
    };
    let mut content: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let choose = |asked: &[String], own: Vec<&str>| match asked {
        [] => own.join(" "),
        words => words.join(" "),
    };
    let search = choose(&asked.search, own.search);
    if !search.is_empty() && search != "." {
        content.push_str(&format!("search {search}\n"));
    }
    let options = choose(&asked.options, own.options);
    if !options.is_empty() {
        content.push_str(&format!("options {options}\n"));
    }
    content
}

/// Drops the lines of servers out of reach and adds the fallback where none is left.
fn without_unreachable(host: &str) -> String {
    let keeps = |line: &str| server_of(line).is_none_or(is_reachable);
    let mut content: String = host.split_inclusive('\n').filter(|line| keeps(line)).collect();
    if Parsed::of(&content).servers.is_empty() {
        if !content.is_empty() && !content.ends_with('\n') {
            content.push('\n');
        }
        for server in FALLBACK {
            content.push_str(&format!("nameserver {server}\n"));
        }
    }
    content
}

fn is_reachable(server: &str) -> bool {
    matches!(server.parse(), Ok(IpAddr::V4(address)) if !address.is_loopback() && !address.is_unspecified())
}

fn server_of(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next()).flatten()
}

/// The parts of a file that another one takes over.
pub(super) struct Parsed<'a> {
    pub(super) servers: Vec<&'a str>,
    pub(super) search: Vec<&'a str>,
    pub(super) options: Vec<&'a str>,
}

impl<'a> Parsed<'a> {
    pub(super) fn of(content: &'a str) -> Self {
        let mut parsed = Self { servers: Vec::new(), search: Vec::new(), options: Vec::new() };
        for line in content.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => parsed.servers.extend(words.next()),
                // The last of these lines counts, resolv.conf(5).
                Some("search" | "domain") => parsed.search = words.collect(),
                Some("options") => parsed.options.extend(words),
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch a.example\noptions ndots:2\n";

    fn asked(servers: &[&str], search: &[&str]) -> NameServers {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let servers = servers.iter().map(|server| server.parse().expect("any word")).collect();
        NameServers { servers, search: words(search), options: Vec::new() }
    }

    #[test]
    fn the_hosts_file_stays_but_for_servers_out_of_reach() {
        let nothing = NameServers::default();
        assert_eq!(
            resolv_conf(HOST, &nothing, HostServers::Reachable),
            "# made by hand\nnameserver 10.0.0.2\nsearch a.example\noptions ndots:2\n"
        );
        assert_eq!(resolv_conf(HOST, &nothing, HostServers::All), HOST);
        assert_eq!(
            resolv_conf("nameserver ::1\nnameserver 127.0.0.1", &nothing, HostServers::Reachable),
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
        );
    }

    #[test]
    fn what_is_asked_replaces_the_hosts() {
        let with = |wish: &NameServers| resolv_conf(HOST, wish, HostServers::Reachable);
        assert_eq!(
            resolv_conf("", &asked(&["9.9.9.9"], &["example.org"]), HostServers::Reachable),
            "nameserver 9.9.9.9\nsearch example.org\n"
        );
        assert_eq!(
            with(&asked(&["9.9.9.9"], &[])),
            "nameserver 9.9.9.9\nsearch a.example\noptions ndots:2\n"
        );
        assert_eq!(
            with(&asked(&[], &["b.example"])),
            "nameserver 10.0.0.2\nsearch b.example\noptions ndots:2\n"
        );
        assert_eq!(with(&asked(&[], &["."])), "nameserver 10.0.0.2\noptions ndots:2\n");
    }

    #[test]
    fn a_container_wins_over_the_daemon() {
        let daemon = asked(&["1.1.1.1"], &["d.example"]);
        assert_eq!(asked(&["9.9.9.9"], &[""]).or(&daemon), asked(&["9.9.9.9"], &["d.example"]));
    }
}
