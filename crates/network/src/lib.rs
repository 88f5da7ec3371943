//! Bridges, links, addresses, firewall, published ports and name files.
//!
//! A start goes: [`port::plan`] says what to publish, [`Network::reserve`] gives the container an
//! [`Endpoint`] (an address and held ports; the engine saves it), [`names`] makes its files,
//! [`Network::connect`] makes its link once its network namespace exists, init inside configures
//! the interface as [`Endpoint::interface`] says. [`Network::disconnect`] takes all of it away
//! again, whatever of it there is.

mod addresses;
mod endpoint;
mod error;
mod fault;
mod firewall;
pub mod links;
mod mac;
pub mod names;
mod network;
mod options;
pub mod port;
mod route;
mod subnet;

pub use endpoint::{Endpoint, INTERFACE_NAME, Opening, PublishedPort, Request};
pub use error::Error;
pub use fault::{Faults, Step};
pub use mac::{MacAddress, MacAddressError};
pub use network::Network;
pub use options::{BridgeChoice, DEFAULT_BRIDGE, Options, OptionsError};
pub use subnet::{CidrError, InterfaceAddress, Subnet, choose_free};
