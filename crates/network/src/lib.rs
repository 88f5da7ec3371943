//! Bridges, interfaces, addresses, firewall, published ports and resolver files.
//!
//! A start goes: [`port::plan`] decides what to publish, [`Network::reserve`] gives the container an
//! [`Endpoint`] (an address and held ports; the engine saves it), [`names`] makes its files,
//! [`Network::connect`] makes its interface once its network namespace exists, init inside configures the
//! interface from [`Endpoint::interface`]. [`Network::disconnect`] removes all of it, as far as it exists.
//! [`Network::open`] takes over the endpoints of running containers and removes what others left, so a daemon
//! may die at any moment.
//!
//! # What it does to the host
//! - A bridge (`berth0`) with a hardware address that stays, and an address of a private network
//!   that meets none of the host's routes, addresses and name servers. An existing bridge
//!   (`--bridge NAME`) is used as it is and never removed.
//! - A pair of interfaces a container, made in one message: the host's end is a port of the bridge, named
//!   `bt`, the container's first 12 digits and a letter; the other end is born as `eth0` in the container's
//!   namespace. Interfaces have a group of their own, by which leftovers are recognised.
//! - `/proc/sys/net/ipv4/ip_forward` is set to 1, unless `--ip-forward=false`. It stays so: other programs
//!   may have come to need it.
//! - `route_localnet` of the bridge (and of interfaces beside it) is set, which 127.0.0.1 needs; the
//!   firewall keeps containers from 127.0.0.0/8 in turn. `proxy_arp` of the bridge is set with
//!   the first interface beside it.
//! - IPv6 is disabled on the engine's own bridge and on the host's end of each interface, and router
//!   advertisements are not accepted there; inside, init disables it on `eth0`.
//! - Two tables of nf_tables, `ip berth` and `bridge berth` (`berth-<bridge>` for another bridge), whose rules stand at the top of the
//!   modules `firewall::table` and `firewall::port_security`. They are changed in single transactions through netlink; no program is
//!   executed. `--iptables=false` makes none; then ports are held but nothing leads to them, as no proxy process forwards them.
//! - A bound socket a published port, so that no other program takes it meanwhile.
//!
//! # A host that drops what it forwards
//! Every table must let a packet pass, so one that drops wins. Where iptables' chain FORWARD has the policy DROP
//! (dockerd sets it when it has turned forwarding on), two rules are appended to that chain which accept what comes from
//! and goes to interfaces of the engine's groups. They stand behind all rules of the host, which so keep their effect,
//! and are removed with the tables; nothing else of the host's or of dockerd's is changed, and both engines' containers
//! work side by side whichever starts first. [`Network::warnings`] reports other tables that drop, firewalld and
//! iptables-legacy. A thread is notified of other programs' changes, so that rules which are removed or become needed
//! are restored a moment later.
//!
//! From outside only published ports lead to a container: packets that are routed to its address through this
//! host are dropped, also for ports that are published on one address only.
//!
//! # More containers than a bridge has ports
//! A Linux bridge has 1,023 ports. Containers beyond them, and with `--icc=false` all, get an interface
//! beside the bridge: the host has a route to each such address, and bridge and interfaces answer ARP
//! for each other's addresses (`proxy_arp`, without its usual delay). To containers it is one
//! network with one gateway; what passes between is forwarded, so the firewall sees it whether or
//! not bridged packets go through it (`bridge-nf-call-iptables`). The limit is then the network's
//! size: 65,533 containers in a /16.

mod addresses;
mod endpoint;
mod error;
mod family;
mod fault;
mod firewall;
mod held_ports;
pub mod links;
pub mod names;
mod network;
mod options;
mod parent;
pub mod port;
mod publishing;
mod route;
mod subnet;

pub use addresses::AddressUsage;
pub use endpoint::{AddressLease, Endpoint, INTERFACE_NAME, LinkException, LinkedPort, Request, SourceCheck};
pub use error::Error;
pub use family::Address;
pub use fault::{Faults, Injected, Step};
pub use held_ports::{HeldPorts, MOST_RELAYED};
pub use model::{MacAddress, MacAddressError};
pub use network::{HostListing, Network, inside};
pub use options::{
    AddressOrder, BridgeChoice, DEFAULT_BRIDGE, HostAddresses, Ipv6Address, Ipv6Options, Options,
    OptionsError, is_interface_name,
};
pub use parent::{
    IpvlanFlag, IpvlanMode, MacvlanMode, ParentAddresses, ParentChoice, ParentOptions, Sharing,
};
pub use publishing::{GatewayMode, Publishing, Relay};
pub use subnet::{CidrError, InterfaceAddress, Subnet, choose_free, lowest_free};
