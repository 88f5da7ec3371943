//! Published ports that the kernel does not translate: those of the host's IPv6 whose containers have IPv4 alone, and those
//! of its loopback of IPv6. The container's shim relays them: it runs as long as the container does, whatever happens to
//! the daemon.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use network::Relay;
use network::port::PublishedPort;
use shim_protocol::{FailureKind, RelayedPort, Request};

use super::endpoints::published_ports;
use crate::container::{Container, Record};
use crate::error::Error;
use crate::shim::{RequestError, Shim};

/// Has the shim of a container that is about to start relay its ports.
///
/// # Errors
/// When another program has one of them.
pub(crate) async fn open(record: &Record, shim: &Shim) -> Result<(), Error> {
    let ports = ports(record);
    if ports.is_empty() { Ok(()) } else { send(record, shim, ports).await }
}

/// The warning about a container that publishes more ports than its shim relays.
pub(crate) fn warning(record: &Record, options: &network::Options) -> Option<String> {
    let count = published_ports(record).ok()?.len();
    if count <= network::MOST_RELAYED || options.relay == Relay::Off {
        return None;
    }
    Some(format!(
        "{count} ports are published, more than {}: none of them is relayed. At addresses of IPv6 of the host they are not \
         reached where the container has IPv4 alone, nor at [::1].",
        network::MOST_RELAYED
    ))
}

/// Has the shim of a running container relay what is published now; `before` is the container as it was. The caller holds
/// its transition.
///
/// # Errors
/// When another program has one of the ports.
pub(crate) async fn follow(before: &Record, container: &Container) -> Result<(), Error> {
    match ports(before) == ports(&container.record()) {
        true => Ok(()),
        false => settle(container).await,
    }
}

/// Has the shim of a running container relay what is published now, whatever it relayed. The caller holds its
/// transition.
///
/// # Errors
/// When another program has one of the ports.
pub(crate) async fn settle(container: &Container) -> Result<(), Error> {
    let record = container.record();
    let Some(shim) = container.shim() else { return Err(Error::NotRunning(record.id.to_string())) };
    send(&record, &shim, ports(&record)).await
}

/// Has the shim of a running container relay nothing: its ports are about to be held otherwise.
pub(super) async fn stop(container: &Container) -> Result<(), Error> {
    let record = container.record();
    match container.shim() {
        Some(shim) => send(&record, &shim, Vec::new()).await,
        None => Ok(()),
    }
}

fn ports(record: &Record) -> Vec<RelayedPort> {
    let relayed = |lease: &network::Endpoint| -> Vec<RelayedPort> {
        let port = |port: &PublishedPort| {
            let IpAddr::V6(asked) = port.host_ip else { return None };
            let (host, container): (_, IpAddr) = match (lease.ipv4, lease.ipv6) {
                (_, Some(ipv6)) if lease.is_relayed_at_loopback(port) => {
                    (Ipv6Addr::LOCALHOST, ipv6.address.into())
                }
                (Some(ipv4), _) if lease.is_relayed(port) => (asked, ipv4.address.into()),
                _ => return None,
            };
            Some(RelayedPort {
                protocol: port.container.protocol,
                host: SocketAddrV6::new(host, port.host_port, 0, 0),
                container: SocketAddr::new(container, port.container.number),
            })
        };
        lease.ports.iter().filter_map(port).collect()
    };
    record.endpoints.iter().filter_map(|endpoint| endpoint.lease.as_ref()).flat_map(relayed).collect()
}

/// A shim of an earlier release relays nothing.
async fn send(record: &Record, shim: &Shim, ports: Vec<RelayedPort>) -> Result<(), Error> {
    let is_asked = !ports.is_empty();
    match shim.request(Request::Relay(ports), None).await {
        Ok(_) => Ok(()),
        Err(RequestError::Refused(failure)) if failure.kind == FailureKind::Unsupported => {
            if is_asked {
                tracing::warn!("container {} is not reached by IPv6: {}", record.id, failure.message);
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
