//! Restores a bridge that was removed by hand, with all that was connected to it.

use std::sync::atomic::Ordering;

use super::state::{BridgeOwner, InterfaceState};
use super::{Active, bridge, locked};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::options::{BridgeChoice, Ipv6Address, Options};
use crate::route::{Interface, Routing};

/// What had to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restored {
    Bridge,
    Nothing,
}

impl Active {
    /// Restores the engine's own bridge if it is gone, and connects its interfaces again. The firewall refers to it by its
    /// name, which stays.
    pub(super) fn restore_bridge(&self) -> Result<Restored, Error> {
        let _alone = locked(&self.restoring);
        let mut routing = Routing::open()?;
        let present = routing.interface(&self.bridge.name)?;
        let is_there = present.is_some_and(|present| present.index == self.bridge.index());
        if is_there || !matches!(self.bridge.owner, BridgeOwner::Engine) {
            return Ok(Restored::Nothing);
        }
        let endpoints: Vec<(Endpoint, InterfaceState)> = {
            let book = self.book();
            book.endpoints.values().map(|entry| (entry.endpoint.clone(), entry.interface)).collect()
        };
        let known: Vec<Endpoint> = endpoints.iter().map(|(endpoint, _)| endpoint.clone()).collect();
        let options = self.options_of_bridge();
        let prepared = bridge::prepare(&mut routing, (&options, &known), self.mtu, &self.host.faults, None)?;
        let Some((made, _)) = prepared else { return Ok(Restored::Nothing) };
        if options.firewall {
            bridge::allow_loopback(&mut routing, &made, &options)?;
        }
        if !self.communicate {
            bridge::answer_for_interfaces(&mut routing, &made)?;
        }
        self.bridge.index.store(made.index(), Ordering::Relaxed);
        tracing::warn!("the bridge {} was removed; it is made again", self.bridge.name);
        for (endpoint, state) in endpoints {
            self.connect_again(&mut routing, &endpoint, state, &made.interface())?;
        }
        Ok(Restored::Bridge)
    }

    /// The options of the network with the addresses that the bridge had.
    fn options_of_bridge(&self) -> Options {
        let mut options = self.options.clone();
        options.bridge = BridgeChoice::Own { name: self.bridge.name.clone(), address: self.bridge.ipv4 };
        if let (Some(ipv6), Some(address)) = (&mut options.ipv6, self.bridge.ipv6) {
            ipv6.address = Ipv6Address::Exactly(address);
        }
        options
    }

    fn connect_again(
        &self,
        routing: &mut Routing,
        endpoint: &Endpoint,
        state: InterfaceState,
        bridge: &Interface,
    ) -> Result<(), Error> {
        // One that is gone belongs to a container that has ended.
        let Some(interface) = routing.interface(&endpoint.host_interface)? else { return Ok(()) };
        match state {
            InterfaceState::Missing => return Ok(()),
            InterfaceState::Port => routing.attach(&interface, bridge.index)?,
            InterfaceState::Routed => {
                bridge::answer_for_interfaces(routing, &self.bridge)?;
                // The route of IPv4 went with the address that it names.
                self.lead_beside_bridge(routing, endpoint, &interface)?;
            }
        }
        self.add_neighbours(routing, endpoint, state, (&interface, bridge))
    }
}
