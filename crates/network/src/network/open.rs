//! Opens the network: the bridge, the host's switches, what running containers have, the
//! firewall. Each step has its undo.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::bridge::{self, Made};
use super::host::{Host, Parts};
use super::reaper::Reaper;
use super::watcher::Watcher;
use super::{Active, Book, Bridge, DEFAULT_NETWORK, Entry, LinkState, Network, switches};
use crate::addresses::AddressPool;
use crate::endpoint::{Endpoint, is_link_name};
use crate::error::Error;
use crate::fault::{Faults, Step};
use crate::firewall::{Content, Firewall, Layout};
use crate::held_ports::PortBook;
use crate::options::{Options, OptionsError};
use crate::route::{Link, Routing};

/// Links of an engine have a group of this upper byte; the rest is of their bridge's name.
const LIVING: u32 = 0xbe00_0000;
/// The upper byte of links that are being removed.
const GOING: u32 = 0xbf00_0000;

impl Network {
    /// Makes or adopts the bridge, sets the kernel's switches, rebuilds the firewall exactly, and
    /// takes the known endpoints (those saved for containers that run) back: their addresses and
    /// ports are held again, links of containers that are not known are removed.
    ///
    /// # Errors
    /// Contradicting options, a missing bridge or network, a kernel that lacks what is needed.
    pub fn open(options: &Options, known: Vec<Endpoint>) -> Result<Self, Error> {
        Self::open_with(options, known, Faults::default())
    }

    /// Opens the network as [`Network::open`] does, with faults for a test.
    ///
    /// # Errors
    /// As [`Network::open`], and the chosen fault.
    pub fn open_with(options: &Options, known: Vec<Endpoint>, faults: Faults) -> Result<Self, Error> {
        options.check()?;
        let mut routing = Routing::open()?;
        let mtu = match options.mtu {
            Some(mtu) => mtu,
            None => bridge::default_mtu(&mut routing)?,
        };
        let prepared = bridge::prepare(&mut routing, &options.bridge, &known, mtu, &faults)?;
        let Some((bridge, made)) = prepared else {
            return match known.first() {
                Some(endpoint) => Err(Error::RunningElsewhere { address: endpoint.address }),
                None => Ok(Self { active: None, warnings: Vec::new(), watcher: Mutex::default() }),
            };
        };
        let opening = NetworkOpening { options, bridge, mtu, faults, warnings: Vec::new() };
        opening.finish(routing, known, made)
    }

    /// Makes or adopts a further network on the host of this one. Its containers reach those of other
    /// networks only by published ports. What the options say of the whole host counts for the first
    /// network alone.
    ///
    /// # Errors
    /// As [`Network::open`]; a network without a bridge.
    pub fn open_beside(&self, options: &Options, known: Vec<Endpoint>) -> Result<Self, Error> {
        options.check()?;
        let host = Arc::clone(&self.active()?.host);
        let mut routing = Routing::open()?;
        let mtu = match options.mtu {
            Some(mtu) => mtu,
            None => bridge::default_mtu(&mut routing)?,
        };
        let faults = host.faults.clone();
        let prepared = bridge::prepare(&mut routing, &options.bridge, &known, mtu, &faults)?;
        let Some((bridge, made)) = prepared else { return Err(Error::Disabled) };
        let opening = NetworkOpening { options, bridge, mtu, faults, warnings: Vec::new() };
        opening.join(host, &mut routing, known, made)
    }
}

/// What is known while the network opens.
struct NetworkOpening<'a> {
    options: &'a Options,
    bridge: Bridge,
    mtu: u32,
    faults: Faults,
    warnings: Vec<String>,
}

impl NetworkOpening<'_> {
    fn finish(mut self, mut routing: Routing, known: Vec<Endpoint>, made: Made) -> Result<Network, Error> {
        let mut firewall = None;
        let mut ports = PortBook::new(switches::ephemeral_ports());
        match self.steps(&mut routing, known, &mut firewall, &mut ports) {
            Ok((book, reaper)) => {
                let known = u32::try_from(book.endpoints.len()).unwrap_or(u32::MAX);
                let faults = self.faults.clone();
                let host = Host::new(Parts { faults, reaper, routing, firewall, ports, known });
                let host = Arc::new(host);
                let watcher = match host.firewall().is_some() {
                    true => Some(Watcher::start(Arc::clone(&host))?),
                    false => None,
                };
                Ok(self.network(host, DEFAULT_NETWORK, book, watcher))
            }
            Err(error) => {
                let left = firewall.and_then(|mut it| it.remove().err());
                let mut left: Vec<Error> = left.into_iter().collect();
                left.extend(made.undo(&mut routing));
                Err(error.with(left))
            }
        }
    }

    /// Opens a further network.
    fn join(
        mut self,
        host: Arc<Host>,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        made: Made,
    ) -> Result<Network, Error> {
        let number = host.new_number();
        let book = match self.book(routing, known, &mut host.ports()) {
            Ok(book) => book,
            Err(error) => return Err(error.with(made.undo(routing))),
        };
        if let Some(mut firewall) = host.firewall() {
            let added = firewall.add_network(self.layout(number), book.content());
            let added = added.and_then(|()| Ok(self.faults.pass(Step::BuildFirewall)?));
            if let Err(error) = added {
                let mut left: Vec<Error> = firewall.remove_network(number).err().into_iter().collect();
                let mut ports = host.ports();
                book.endpoints.into_values().for_each(|entry| ports.release(entry.held));
                left.extend(made.undo(routing));
                return Err(error.with(left));
            }
        }
        Ok(self.network(host, number, book, None))
    }

    fn book(
        &mut self,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        ports: &mut PortBook,
    ) -> Result<Book, Error> {
        self.configure_host(routing)?;
        let links = self.collect_links(routing, &known)?;
        self.faults.pass(Step::CollectLinks)?;
        let book = self.adopt(routing, known, &links, ports)?;
        self.faults.pass(Step::AdoptEndpoints)?;
        Ok(book)
    }

    fn steps(
        &mut self,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        firewall: &mut Option<Firewall>,
        ports: &mut PortBook,
    ) -> Result<(Book, Reaper), Error> {
        let book = self.book(routing, known, ports)?;
        if self.options.firewall {
            let networks = vec![self.layout(DEFAULT_NETWORK)];
            let content = Content { networks, ..book.content() };
            let built = Firewall::build(&self.bridge.name, &content)?;
            let built = firewall.insert(built);
            self.faults.pass(Step::BuildFirewall)?;
            built.forward_on_host()?;
            self.warnings.extend(built.warnings()?);
            self.faults.pass(Step::ForwardOnHost)?;
        } else {
            Firewall::remove_left(&self.bridge.name)?;
        }
        let reaper = Reaper::start(Routing::open()?, group_of(GOING, &self.bridge.name))?;
        Ok((book, reaper))
    }

    fn network(self, host: Arc<Host>, number: u32, book: Book, watcher: Option<Watcher>) -> Network {
        let active = Arc::new(Active {
            host: Arc::clone(&host),
            number,
            group: group_of(LIVING, &self.bridge.name),
            bridge: self.bridge,
            default_host_ip: self.options.default_host_ip,
            mtu: self.mtu,
            communicate: self.options.inter_container_communication,
            internal: self.options.internal,
            book: Mutex::new(book),
        });
        host.register(&active);
        Network { active: Some(active), warnings: self.warnings, watcher: Mutex::new(watcher) }
    }

    fn layout(&self, number: u32) -> Layout {
        Layout {
            number,
            group: group_of(LIVING, &self.bridge.name),
            bridge: self.bridge.name.clone(),
            address: self.bridge.address,
            communicate: self.options.inter_container_communication,
            masquerade: self.options.masquerade,
            internal: self.options.internal,
            unprotected: self.options.unprotected,
        }
    }

    fn configure_host(&mut self, routing: &mut Routing) -> Result<(), Error> {
        if self.options.forward {
            switches::forward()?;
        } else if !switches::forwards() {
            self.warnings.push(
                "IPv4 forwarding is off and --ip-forward=false keeps it so: containers reach only this host"
                    .to_owned(),
            );
        }
        if self.options.firewall {
            bridge::allow_loopback(routing, &self.bridge)?;
        } else {
            self.warnings
                .push("--iptables=false: published ports are held but nothing leads to them".to_owned());
        }
        if !self.options.inter_container_communication {
            bridge::answer_for_links(routing, &self.bridge)?;
        }
        Ok(self.faults.pass(Step::ConfigureHost)?)
    }

    /// Lists the links of known endpoints and removes those of others that this engine left.
    fn collect_links(&mut self, routing: &mut Routing, known: &[Endpoint]) -> Result<Vec<Link>, Error> {
        let groups = [LIVING, GOING].map(|state| group_of(state, &self.bridge.name));
        let is_ours = |link: &Link| {
            is_link_name(&link.name)
                && (groups.contains(&link.group) || link.master == Some(self.bridge.index))
        };
        let ours = routing.links()?.into_iter().filter(is_ours);
        let is_known = |link: &Link| known.iter().any(|endpoint| endpoint.link == link.name);
        let (living, left): (Vec<_>, Vec<_>) = ours.partition(is_known);
        let left: Vec<String> = left.into_iter().map(|link| link.name).collect();
        if !left.is_empty() {
            routing.delete_links(&left, groups[1])?;
        }
        for address in routing.added_neighbours(self.bridge.index)? {
            if !known.iter().any(|endpoint| endpoint.address == address) {
                routing.delete_neighbour(&self.bridge.name, self.bridge.index, address)?;
            }
        }
        Ok(living)
    }

    fn adopt(
        &mut self,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        links: &[Link],
        ports: &mut PortBook,
    ) -> Result<Book, Error> {
        let mut book = Book { addresses: self.addresses(routing)?, endpoints: HashMap::new() };
        let own = self.bridge.address.subnet();
        if let Some(endpoint) = known.iter().find(|endpoint| !own.contains(endpoint.address)) {
            return Err(Error::RunningElsewhere { address: endpoint.address });
        }
        for endpoint in known {
            if !book.addresses.adopt(endpoint.address) {
                let (address, container) = (endpoint.address, endpoint.container);
                return Err(Error::AddressTaken { address, container });
            }
            let (held, errors) = ports.adopt(&endpoint.ports);
            self.warnings.extend(errors.iter().map(ToString::to_string));
            let link = self.adopt_link(routing, &endpoint, links)?;
            book.endpoints.insert(endpoint.container.clone(), Entry { endpoint, held, link });
        }
        Ok(book)
    }

    /// Sees how a known endpoint's link is joined; one that lost its bridge is joined again.
    fn adopt_link(
        &self,
        routing: &mut Routing,
        endpoint: &Endpoint,
        links: &[Link],
    ) -> Result<LinkState, Error> {
        let Some(link) = links.iter().find(|link| link.name == endpoint.link) else {
            return Ok(LinkState::Missing);
        };
        switches::refuse_ipv6(&link.name)?;
        let is_port = link.master == Some(self.bridge.index);
        let routed = !is_port
            && routing.routes()?.iter().any(|route| {
                route.out == Some(link.index)
                    && route.destination.prefix_length() == 32
                    && route.destination.contains(endpoint.address)
            });
        if routed {
            bridge::answer_for_links(routing, &self.bridge)?;
            return Ok(LinkState::Routed);
        }
        // Also what is a port already: an earlier release may have made it one with fewer settings.
        routing.attach(link, self.bridge.index)?;
        Ok(LinkState::Port)
    }

    /// The pool of the bridge's network without the host's own addresses in it.
    fn addresses(&self, routing: &mut Routing) -> Result<AddressPool, Error> {
        let whole = self.bridge.address.subnet();
        if let Some(part) = self.options.fixed_cidr.filter(|part| !whole.includes(*part)) {
            return Err(OptionsError::FixedCidr { part, whole }.into());
        }
        let own: Vec<_> = routing.addresses()?.into_iter().map(|(_, address)| address.address).collect();
        let reserved = [own.as_slice(), &self.options.reserved].concat();
        Ok(AddressPool::new(whole, self.options.fixed_cidr, &reserved, self.options.order))
    }
}

/// The group of this bridge's links: FNV-1a of its name.
fn group_of(state: u32, bridge: &str) -> u32 {
    let hash =
        bridge.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    state | (hash & 0x00ff_ffff)
}
