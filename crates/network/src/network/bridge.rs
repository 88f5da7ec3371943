//! The bridge: found, made, addressed and set up when the network opens.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fault::{Faults, Step};
use crate::names;
use crate::options::BridgeChoice;
use crate::route::{Link, PROXY_ARP, ROUTE_LOCALNET, Routing};
use crate::subnet::{InterfaceAddress, Subnet, choose_free};
use model::MacAddress;

use super::{Bridge, switches};

/// The default MTU of Ethernet, for a host without a default route.
const ETHERNET_MTU: u32 = 1500;

/// Finds or makes the bridge. What was made is unmade where a later step fails.
pub(super) fn prepare(
    routing: &mut Routing,
    choice: &BridgeChoice,
    known: &[Endpoint],
    mtu: u32,
    faults: &Faults,
) -> Result<Option<(Bridge, Made)>, Error> {
    match choice {
        BridgeChoice::None => Ok(None),
        BridgeChoice::Existing(name) => {
            let bridge = existing(routing, name)?;
            Ok(Some((bridge, Made::Nothing)))
        }
        BridgeChoice::Own { name, address } => {
            let made = match routing.link(name)? {
                Some(link) => {
                    require_bridge(&link)?;
                    Made::Nothing
                }
                None => {
                    let address = wanted_address(routing, name, *address, known)?;
                    routing.create_bridge(name, MacAddress::of(address.address))?;
                    Made::Bridge(name.clone())
                }
            };
            let result = (|| {
                faults.pass(Step::CreateBridge)?;
                configure(routing, name, *address, known, mtu, faults)
            })();
            match result {
                Ok(bridge) => Ok(Some((bridge, made))),
                Err(error) => Err(error.with(made.undo(routing))),
            }
        }
    }
}

/// What opening the network has made of the bridge.
#[derive(Debug)]
pub(super) enum Made {
    Nothing,
    Bridge(String),
}

impl Made {
    pub(super) fn undo(self, routing: &mut Routing) -> Vec<Error> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Bridge(name) => routing.delete_link(&name).err().into_iter().collect(),
        }
    }
}

/// The MTU of the link through which the default route leads.
pub(super) fn default_mtu(routing: &mut Routing) -> Result<u32, Error> {
    let default = routing.routes()?.into_iter().find(|route| route.destination.prefix_length() == 0);
    let Some(out) = default.and_then(|route| route.out) else { return Ok(ETHERNET_MTU) };
    let link = routing.links()?.into_iter().find(|link| link.index == out);
    // A loopback or tunnel of 64 KiB says nothing of what the way out carries.
    Ok(link.map_or(ETHERNET_MTU, |link| link.mtu.clamp(68, 9000)))
}

fn existing(routing: &mut Routing, name: &str) -> Result<Bridge, Error> {
    let link = routing.link(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    require_bridge(&link)?;
    let address = address_of(routing, &link)?.ok_or_else(|| Error::BridgeWithoutAddress(name.to_owned()))?;
    routing.set_up(&link, None)?;
    Ok(Bridge { name: link.name, index: link.index, address, own: false })
}

fn require_bridge(link: &Link) -> Result<(), Error> {
    if link.kind == "bridge" { Ok(()) } else { Err(Error::NotABridge(link.name.clone())) }
}

fn configure(
    routing: &mut Routing,
    name: &str,
    asked: Option<InterfaceAddress>,
    known: &[Endpoint],
    mtu: u32,
    faults: &Faults,
) -> Result<Bridge, Error> {
    let link = routing.link(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    let present = address_of(routing, &link)?;
    let address = match (present, asked) {
        (Some(present), None) => present,
        (Some(present), Some(asked)) if present == asked => present,
        (Some(present), Some(asked)) => {
            if !known.is_empty() {
                return Err(Error::BridgeInUse { name: name.to_owned(), present, asked });
            }
            routing.delete_address(&link, present)?;
            routing.add_address(&link, asked)?;
            asked
        }
        (None, asked) => {
            let address = wanted_address(routing, name, asked, known)?;
            routing.add_address(&link, address)?;
            address
        }
    };
    faults.pass(Step::AddressBridge)?;
    switches::refuse_ipv6(name)?;
    routing.set_up(&link, Some(mtu))?;
    faults.pass(Step::SetBridgeUp)?;
    Ok(Bridge { name: link.name, index: link.index, address, own: true })
}

/// Lets the host speak to containers as 127.0.0.1, which published ports need.
pub(super) fn allow_loopback(routing: &mut Routing, bridge: &Bridge) -> Result<(), Error> {
    routing.configure(&bridge.link(), &[(ROUTE_LOCALNET, 1)])
}

/// Lets the bridge answer for addresses of containers whose links are beside it.
pub(super) fn answer_for_links(routing: &mut Routing, bridge: &Bridge) -> Result<(), Error> {
    routing.configure(&bridge.link(), &[(PROXY_ARP, 1)])?;
    routing.answer_at_once(&bridge.link())
}

impl Bridge {
    fn link(&self) -> Link {
        Link { index: self.index, name: self.name.clone(), ..Link::default() }
    }
}

fn address_of(routing: &mut Routing, link: &Link) -> Result<Option<InterfaceAddress>, Error> {
    let addresses = routing.addresses()?;
    Ok(addresses.into_iter().find(|(index, _)| *index == link.index).map(|(_, address)| address))
}

/// The address that the bridge gets: the one asked for, the one that running containers know, or
/// one of a network that the host does not reach otherwise.
fn wanted_address(
    routing: &mut Routing,
    name: &str,
    asked: Option<InterfaceAddress>,
    known: &[Endpoint],
) -> Result<InterfaceAddress, Error> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    if let Some(endpoint) = known.first() {
        return Ok(InterfaceAddress { address: endpoint.gateway, prefix_length: endpoint.prefix_length });
    }
    choose_free(&taken_by_host(routing)?).ok_or_else(|| Error::NoFreeNetwork(name.to_owned()))
}

/// What the host reaches already.
pub(super) fn taken_by_host(routing: &mut Routing) -> Result<Vec<Subnet>, Error> {
    let mut taken: Vec<Subnet> = routing.routes()?.into_iter().map(|route| route.destination).collect();
    // The default route leads everywhere and forbids nothing.
    taken.retain(|subnet| subnet.prefix_length() > 0);
    taken.extend(routing.addresses()?.into_iter().map(|(_, address)| address.subnet()));
    taken.extend(name_servers().into_iter().map(|address| Subnet::containing(address, 32)));
    Ok(taken)
}

/// The host's name servers, which containers must be able to reach. A host without any is fine.
fn name_servers() -> Vec<std::net::Ipv4Addr> {
    let content = names::host_resolv_conf("/etc/resolv.conf".as_ref()).unwrap_or_default();
    let servers = content.lines().filter_map(|line| line.strip_prefix("nameserver"));
    servers.filter_map(|server| server.trim().parse().ok()).collect()
}
