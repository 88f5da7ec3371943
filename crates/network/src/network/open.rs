//! Opens the network: the bridge, the host's switches, what running containers have, the
//! firewall. Each step has its undo.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::adoption::{collect_interfaces, running_elsewhere};
use super::bridge::{self, Made};
use super::group::{GOING, LIVING, SPARE, group_of};
use super::host::{Host, Parts};
use super::listing::{HostListing, KnownHost};
use super::no_bridge::NoBridge;
use super::reaper::Reaper;
use super::spare_bridges::SpareBridges;
use super::watcher::Watcher;
use super::{Active, Book, Bridge, BridgeOwner, DEFAULT_NETWORK, Network, switches};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fault::{Faults, Step};
use crate::firewall::{Content, Firewall, HostPlace, Layout};
use crate::held_ports::PortBook;
use crate::options::{HostAddresses, Options};
use crate::publishing::GatewayMode;
use crate::route::Routing;

impl Network {
    /// Makes or adopts the bridge, sets the kernel's switches, rebuilds the firewall exactly, and takes over
    /// the known endpoints (those saved for running containers): their addresses and ports are held again,
    /// interfaces of unknown containers are removed.
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
        let listing = HostListing::read_by(&mut routing)?;
        let prepared = bridge::prepare(&mut routing, (options, &known), mtu, &faults, None)?;
        let Some((bridge, made)) = prepared else {
            return match known.first() {
                Some(endpoint) => Err(running_elsewhere(endpoint)),
                None => Ok(Self {
                    none: Some(NoBridge::new(options, faults)),
                    active: None,
                    on_parent: None,
                    warnings: Vec::new(),
                    watcher: Mutex::default(),
                }),
            };
        };
        let known_host = KnownHost::Listed(&listing);
        let opening = NetworkOpening { options, bridge, mtu, faults, known_host, warnings: Vec::new() };
        opening.finish(routing, known, made)
    }

    /// Makes or adopts a further network on the host of this one. Its containers reach those of other
    /// networks only by published ports. Options of the whole host count for the first network alone. The
    /// listing was made since the last daemon ended.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub fn open_beside(
        &self,
        options: &Options,
        known: Vec<Endpoint>,
        listing: &HostListing,
    ) -> Result<Self, Error> {
        self.open_further(options, known, KnownHost::Listed(listing))
    }

    /// Makes a further network that has never been there.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub fn make_beside(&self, options: &Options) -> Result<Self, Error> {
        let known_host = match options.host_addresses {
            HostAddresses::Possible => KnownHost::New,
            HostAddresses::None => KnownHost::NewAndFree,
        };
        self.open_further(options, Vec::new(), known_host)
    }

    fn open_further(
        &self,
        options: &Options,
        known: Vec<Endpoint>,
        known_host: KnownHost<'_>,
    ) -> Result<Self, Error> {
        options.check()?;
        let host = self.host()?;
        let mut routing = Routing::open()?;
        let mtu = match options.mtu {
            Some(mtu) => mtu,
            None => bridge::default_mtu(&mut routing)?,
        };
        let faults = host.faults.clone();
        let prepared =
            bridge::prepare(&mut routing, (options, &known), mtu, &faults, Some(&host.spare_bridges))?;
        let Some((bridge, made)) = prepared else { return Err(Error::Disabled) };
        let opening = NetworkOpening { options, bridge, mtu, faults, known_host, warnings: Vec::new() };
        opening.join(host, &mut routing, known, made)
    }
}

/// The state from which the network opens.
pub(super) struct NetworkOpening<'a> {
    pub(super) options: &'a Options,
    pub(super) bridge: Bridge,
    mtu: u32,
    faults: Faults,
    pub(super) known_host: KnownHost<'a>,
    pub(super) warnings: Vec<String>,
}

impl NetworkOpening<'_> {
    fn finish(mut self, mut routing: Routing, known: Vec<Endpoint>, made: Made) -> Result<Network, Error> {
        let mut firewall = None;
        let mut ports = PortBook::new(switches::ephemeral_ports());
        match self.steps(&mut routing, known, &mut firewall, &mut ports) {
            Ok((book, (reaper, spare_bridges))) => {
                let known = u32::try_from(book.endpoints.len()).unwrap_or(u32::MAX);
                let faults = self.faults.clone();
                let host =
                    Host::new(Parts { faults, reaper, spare_bridges, routing, firewall, ports, known });
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
        if self.is_ordinary() {
            self.bridge.settings = routing.bridge_settings(&self.bridge.interface()).ok().flatten();
        }
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
        let interfaces = match self.known_host {
            KnownHost::Listed(listing) => {
                collect_interfaces(routing, &self.bridge, &known, &listing.interfaces)?
            }
            KnownHost::New | KnownHost::NewAndFree => Vec::new(),
        };
        self.faults.pass(Step::CollectInterfaces)?;
        let book = self.adopt(routing, known, &interfaces, ports)?;
        self.faults.pass(Step::AdoptEndpoints)?;
        Ok(book)
    }

    fn steps(
        &mut self,
        routing: &mut Routing,
        known: Vec<Endpoint>,
        firewall: &mut Option<Firewall>,
        ports: &mut PortBook,
    ) -> Result<(Book, (Reaper, SpareBridges)), Error> {
        let book = self.book(routing, known, ports)?;
        if self.options.firewall {
            let networks = vec![self.layout(DEFAULT_NETWORK)];
            let content = Content { networks, ..book.content() };
            let built = Firewall::build(&self.bridge.name, &content, self.options.ipv6_firewall)?;
            let built = firewall.insert(built);
            self.faults.pass(Step::BuildFirewall)?;
            if self.options.ipv6_firewall && self.options.ipv6.is_some() && !built.has_ipv6() {
                self.warnings.push(
                    "this kernel has no nf_tables of IPv6: containers have no way out and no published ports there"
                        .to_owned(),
                );
            }
            built.forward_on_host()?;
            self.warnings.extend(built.warnings()?);
            self.faults.pass(Step::ForwardOnHost)?;
        } else {
            Firewall::remove_left(&self.bridge.name)?;
        }
        let reaper = Reaper::start(Routing::open()?, group_of(GOING, &self.bridge.name))?;
        let groups = [SPARE, GOING].map(|state| group_of(state, &self.bridge.name));
        let spares = SpareBridges::start(Routing::open()?, groups[0], groups[1])?;
        Ok((book, (reaper, spares)))
    }

    fn network(self, host: Arc<Host>, number: u32, book: Book, watcher: Option<Watcher>) -> Network {
        let active = Arc::new(Active {
            host: Arc::clone(&host),
            number,
            group: group_of(LIVING, &self.bridge.name),
            bridge: self.bridge,
            publishing: self.options.publishing(),
            mtu: self.mtu,
            options: self.options.clone(),
            restoring: Mutex::default(),
            communicate: self.options.inter_container_communication,
            internal: self.options.internal,
            host_ipv4: self.options.has_host_ipv4,
            trusted_interfaces: self.options.trusted_interfaces.clone(),
            book: Mutex::new(book),
        });
        host.register(&active);
        Network {
            active: Some(active),
            on_parent: None,
            none: None,
            warnings: self.warnings,
            watcher: Mutex::new(watcher),
        }
    }

    fn layout(&self, number: u32) -> Layout {
        Layout {
            number,
            group: group_of(LIVING, &self.bridge.name),
            bridge: self.bridge.name.clone(),
            places: self.host_places(),
            communicate: self.options.inter_container_communication,
            internal: self.options.internal,
            has_own_bridge: matches!(self.bridge.owner, BridgeOwner::Engine),
        }
    }

    /// Whether another network may reuse the bridge: nothing is set on it that others would not set again.
    fn is_ordinary(&self) -> bool {
        let is_own = matches!(self.bridge.owner, BridgeOwner::Engine);
        is_own && self.bridge.ipv6.is_none() && self.options.inter_container_communication
    }

    fn host_places(&self) -> Vec<HostPlace> {
        let place = |address: IpAddr, prefix_length, (mode, source)| HostPlace {
            address,
            prefix_length,
            masquerade: self.options.masquerade && mode != GatewayMode::Routed,
            source,
            mode,
        };
        let of_ipv4 = (self.options.gateway_mode, self.options.source.map(IpAddr::from));
        let ipv4 = self.bridge.ipv4.map(|host| place(host.address.into(), host.prefix_length, of_ipv4));
        let of_ipv6 = self.options.ipv6.as_ref();
        let of_ipv6 = of_ipv6.map(|ipv6| (ipv6.gateway_mode, ipv6.source.map(IpAddr::from)));
        let of_ipv6 = of_ipv6.unwrap_or_default();
        let ipv6 = self.bridge.ipv6.map(|host| place(host.address.into(), host.prefix_length, of_ipv6));
        ipv4.into_iter().chain(ipv6).collect()
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
        if self.bridge.ipv6.is_some() && self.options.forward {
            switches::forward_ipv6()?;
        }
        if self.options.firewall {
            bridge::allow_loopback(routing, &self.bridge, self.options)?;
        } else {
            self.warnings
                .push("--iptables=false: published ports are held but nothing leads to them".to_owned());
        }
        if !self.options.inter_container_communication {
            bridge::answer_for_interfaces(routing, &self.bridge)?;
        }
        Ok(self.faults.pass(Step::ConfigureHost)?)
    }
}
