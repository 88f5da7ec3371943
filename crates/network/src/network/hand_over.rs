//! Moves a container's published ports from its endpoint in one network to that in another.
//!
//! The host's ports are held all the while, so that no other program can take one, and open connections continue
//! while the interface that they use is there. A network on a parent holds none: its containers are reached at their
//! own addresses.

use model::ContainerId;

use super::Network;
use crate::error::Error;
use crate::firewall::Content;
use crate::held_ports::{Held, HeldPorts};
use crate::port::PortRequest;

impl Network {
    /// Holds ports of the host.
    ///
    /// # Errors
    /// `port is already allocated` and its like.
    pub fn hold_ports(&self, requests: &[PortRequest]) -> Result<HeldPorts, Error> {
        if self.on_parent.is_some() {
            return Ok(HeldPorts(Vec::new()));
        }
        let active = self.active()?;
        active.host.ports().hold(requests, &active.publishing).map(HeldPorts)
    }

    /// Takes the published ports from the container's endpoint here: nothing leads to it any more.
    ///
    /// # Errors
    /// The kernel's refusal; a container without an endpoint. Then nothing has changed.
    pub fn take_ports(&self, container: &ContainerId) -> Result<HeldPorts, Error> {
        if self.on_parent.is_some() {
            return Ok(HeldPorts(Vec::new()));
        }
        let active = self.active()?;
        let endpoint = self.endpoint(container).ok_or_else(|| Error::NotConnected(container.clone()))?;
        if let Some(mut firewall) = active.host.firewall() {
            firewall.withdraw(&Content::published(&endpoint))?;
        }
        let mut book = active.book();
        let Some(entry) = book.endpoints.get_mut(container) else { return Ok(HeldPorts(Vec::new())) };
        entry.endpoint.ports.clear();
        Ok(HeldPorts(std::mem::take(&mut entry.held)))
    }

    /// Publishes held ports for the container's endpoint here.
    ///
    /// # Errors
    /// The kernel's refusal; a container without an endpoint. The ports are released then.
    pub fn give_ports(&self, container: &ContainerId, ports: HeldPorts) -> Result<(), Error> {
        if self.on_parent.is_some() {
            return Ok(());
        }
        let active = self.active()?;
        let endpoint = {
            let mut book = active.book();
            match book.endpoints.get_mut(container) {
                Some(entry) => {
                    entry.endpoint.ports = ports.0.iter().map(|held| held.port).collect();
                    entry.endpoint.relays_loopback =
                        entry.endpoint.ipv6.is_some() && ports.0.iter().any(Held::is_relayed);
                    entry.held = ports.0;
                    entry.endpoint.clone()
                }
                None => {
                    drop(book);
                    active.host.ports().release(ports.0);
                    return Err(Error::NotConnected(container.clone()));
                }
            }
        };
        let Some(mut firewall) = active.host.firewall() else { return Ok(()) };
        let opened = active
            .add_rules(&mut firewall, &Content::published(&endpoint))
            .and_then(|()| endpoint.ports.iter().try_for_each(|port| firewall.forget_packets(port)));
        drop(firewall);
        opened.map_err(|error| {
            let left = self.take_ports(container).and_then(|ports| self.release_ports(ports)).err();
            error.with(left.into_iter().collect())
        })
    }

    /// Frees held ports that no container uses.
    ///
    /// # Errors
    /// A network without a bridge, which holds none.
    pub fn release_ports(&self, ports: HeldPorts) -> Result<(), Error> {
        self.host()?.ports().release(ports.0);
        Ok(())
    }
}
