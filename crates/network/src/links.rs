//! Links between containers: their spelling and the environment variables they give.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use model::ErrorKind;

use crate::port::{Port, Protocol};

/// A link is not spelled as links are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum LinkError {
    #[error("empty string specified for links")]
    Empty,
    #[error("bad format for links: {0}")]
    Malformed(String),
}

impl LinkError {
    /// Always [`ErrorKind::Refused`]: the specification documents no 400 for it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Refused
    }
}

/// An entry of `HostConfig.Links`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The name or id of the container that is linked to.
    pub target: String,
    /// The name by which it is known; the target's where none is given.
    pub alias: String,
}

impl Link {
    /// Parses `name:alias`, `name`, or the form that inspect shows, `/name:/parent/alias`.
    ///
    /// # Errors
    /// The texts of the reference for an empty entry and for one of three parts, also where an
    /// alias is none that a hosts file could hold.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        if text.is_empty() {
            return Err(LinkError::Empty);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (target, alias) = match parts[..] {
            [target] => (target, target),
            [target, alias] => (target, alias),
            _ => return Err(LinkError::Malformed(text.to_owned())),
        };
        let target = target.strip_prefix('/').unwrap_or(target);
        let alias = alias.rsplit('/').next().filter(|alias| !alias.is_empty()).unwrap_or(target);
        if !alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            return Err(LinkError::Malformed(text.to_owned()));
        }
        Ok(Self { target: target.to_owned(), alias: alias.to_owned() })
    }
}

/// The linked container, as its environment variables tell of it.
#[derive(Debug, Clone, Copy)]
pub struct LinkTarget<'a> {
    /// Its address.
    pub address: Ipv4Addr,
    /// The ports that it exposes.
    pub exposed: &'a BTreeSet<Port>,
    /// Its own `Config.Env`, `NAME=value`.
    pub environment: &'a [String],
}

/// Makes the variables that the container `parent` (a name without a slash) gets for its link
/// `alias`: where each port of the target is, the link's name, and the target's environment.
#[must_use]
pub fn environment(parent: &str, alias: &str, target: LinkTarget<'_>) -> Vec<String> {
    let prefix = alias.replace('-', "_").to_uppercase();
    let mut variables = Vec::new();
    if let Some(first) = first_port(target.exposed) {
        variables.push(format!("{prefix}_PORT={}", url(target.address, first)));
    }
    for run in runs(target.exposed) {
        append_range(&mut variables, &prefix, target.address, &run);
        for port in run {
            append_port(&mut variables, &prefix, target.address, port);
        }
    }
    variables.push(format!("{prefix}_NAME=/{parent}/{alias}"));
    for variable in target.environment {
        // These two are the container's own business, never the link's.
        let name = variable.split('=').next().unwrap_or_default();
        if variable.contains('=') && name != "HOME" && name != "PATH" {
            variables.push(format!("{prefix}_ENV_{variable}"));
        }
    }
    variables
}

fn url(address: Ipv4Addr, port: Port) -> String {
    format!("{}://{address}:{}", port.protocol, port.number)
}

/// The port of the lowest number, of tcp where it is one of both protocols.
fn first_port(exposed: &BTreeSet<Port>) -> Option<Port> {
    exposed.iter().copied().min_by_key(|port| (port.number, port.protocol))
}

/// Splits the ports into runs of neighbours of one protocol.
fn runs(exposed: &BTreeSet<Port>) -> Vec<Vec<Port>> {
    let mut runs: Vec<Vec<Port>> = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for port in exposed.iter().filter(|port| port.protocol == protocol) {
            match runs.last_mut() {
                Some(run)
                    if run.last().is_some_and(|last| {
                        last.protocol == protocol && last.number.checked_add(1) == Some(port.number)
                    }) =>
                {
                    run.push(*port);
                }
                _ => runs.push(vec![*port]),
            }
        }
    }
    runs
}

fn variable_prefix(prefix: &str, port: Port) -> String {
    format!("{prefix}_PORT_{}_{}", port.number, port.protocol.to_string().to_uppercase())
}

fn append_range(variables: &mut Vec<String>, prefix: &str, address: Ipv4Addr, run: &[Port]) {
    let [first, .., last] = run else { return };
    let name = variable_prefix(prefix, *first);
    variables.push(format!("{name}_START={}", url(address, *first)));
    variables.push(format!("{name}_END={}", url(address, *last)));
    variables.push(format!("{name}_PORT_START={}", first.number));
    variables.push(format!("{name}_PORT_END={}", last.number));
}

fn append_port(variables: &mut Vec<String>, prefix: &str, address: Ipv4Addr, port: Port) {
    let name = variable_prefix(prefix, port);
    variables.push(format!("{name}={}", url(address, port)));
    variables.push(format!("{name}_ADDR={address}"));
    variables.push(format!("{name}_PORT={}", port.number));
    variables.push(format!("{name}_PROTO={}", port.protocol));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::exposed;

    #[test]
    fn links_parse_in_three_spellings() {
        let link = |target: &str, alias: &str| Ok(Link { target: target.into(), alias: alias.into() });
        assert_eq!(Link::parse("db:database"), link("db", "database"));
        assert_eq!(Link::parse("db"), link("db", "db"));
        assert_eq!(Link::parse("db:"), link("db", "db"));
        assert_eq!(Link::parse("/db:/web/database"), link("db", "database"));
        assert_eq!(Link::parse(":x"), link("", "x"));
        assert_eq!(
            Link::parse("").map_err(|error| error.to_string()),
            Err("empty string specified for links".into())
        );
        assert_eq!(
            Link::parse("a:b:c").map_err(|error| error.to_string()),
            Err("bad format for links: a:b:c".into())
        );
        for bad in ["a:b c", "a:b\n6.6.6.6 bank", "a:b=c", "a:\u{e9}"] {
            assert_eq!(Link::parse(bad), Err(LinkError::Malformed(bad.into())));
        }
    }

    fn variables(ports: &[&str], environment: &[&str]) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let target = LinkTarget {
            address: [172, 17, 0, 2].into(),
            exposed: &exposed(&owned(ports)),
            environment: &owned(environment),
        };
        super::environment("web", "my-db", target)
    }

    #[test]
    fn every_port_has_its_variables() {
        assert_eq!(
            variables(&["53/udp", "80/tcp"], &["FOO=bar=x", "PATH=/bin", "HOME=/root", "EMPTY=", "bare"]),
            [
                "MY_DB_PORT=udp://172.17.0.2:53",
                "MY_DB_PORT_80_TCP=tcp://172.17.0.2:80",
                "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
                "MY_DB_PORT_80_TCP_PORT=80",
                "MY_DB_PORT_80_TCP_PROTO=tcp",
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_FOO=bar=x",
                "MY_DB_ENV_EMPTY=",
            ]
        );
        assert_eq!(variables(&[], &[]), ["MY_DB_NAME=/web/my-db"]);
        assert_eq!(variables(&["53/udp", "53/tcp"], &[])[0], "MY_DB_PORT=tcp://172.17.0.2:53");
    }

    #[test]
    fn neighbouring_ports_have_a_range() {
        let all = variables(&["8000-8002/tcp", "9000/tcp"], &[]);
        for expected in [
            "MY_DB_PORT_8000_TCP_START=tcp://172.17.0.2:8000",
            "MY_DB_PORT_8000_TCP_END=tcp://172.17.0.2:8002",
            "MY_DB_PORT_8000_TCP_PORT_START=8000",
            "MY_DB_PORT_8000_TCP_PORT_END=8002",
            "MY_DB_PORT_8001_TCP=tcp://172.17.0.2:8001",
        ] {
            assert!(all.iter().any(|variable| variable == expected), "{expected}");
        }
        assert!(!all.iter().any(|variable| variable.contains("9000_TCP_START")));
    }
}
