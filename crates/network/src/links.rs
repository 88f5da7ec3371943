//! Links between containers: the environment variables they give.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::port::{Port, Protocol};

/// The linked container, as its environment variables describe it.
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

    fn variables(ports: &[&str], environment: &[&str]) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let exposed = ports.iter().map(|port| port.parse().expect("a port")).collect();
        let target = LinkTarget {
            address: [172, 17, 0, 2].into(),
            exposed: &exposed,
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
        let all = variables(&["8000/tcp", "8001/tcp", "8002/tcp", "9000/tcp"], &[]);
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
