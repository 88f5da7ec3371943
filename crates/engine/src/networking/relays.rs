//! Published ports of the host's IPv6 whose containers have IPv4 alone. The kernel does not translate between the two, so
//! the container's shim relays them: it lives as long as the container does, whatever becomes of the daemon.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};

use shim_protocol::{FailureKind, RelayedPort, Request};

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
        let Some(ipv4) = lease.ipv4 else { return Vec::new() };
        let port = |port: &network::port::PublishedPort| {
            let IpAddr::V6(address) = port.host_ip else { return None };
            Some(RelayedPort {
                protocol: port.container.protocol,
                host: SocketAddrV6::new(address, port.host_port, 0, 0),
                container: SocketAddrV4::new(ipv4.address, port.container.number),
            })
        };
        lease.ports.iter().filter(|port| lease.is_relayed(port)).filter_map(port).collect()
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
