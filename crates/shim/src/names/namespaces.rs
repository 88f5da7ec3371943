//! From which network namespace something is opened.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use shim_protocol::names::UpstreamNamespace;
use sys::network_namespace;

/// The shim's own network namespace, which is the host's.
const OWN: &str = "/proc/self/ns/net";

/// The two network namespaces that a name service works in.
pub(super) struct Namespaces {
    container: OwnedFd,
    host: OwnedFd,
}

impl Namespaces {
    pub(super) fn new(container: OwnedFd) -> io::Result<Self> {
        Ok(Self { container, host: File::open(OWN)?.into() })
    }

    /// Does something within the container's network namespace. Sockets that are opened there stay there.
    pub(super) fn in_container<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        network_namespace::within(self.container.as_fd(), self.host.as_fd(), act)
    }

    /// Opens a socket in one of them.
    pub(super) fn open_in<T>(
        &self,
        namespace: UpstreamNamespace,
        open: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match namespace {
            UpstreamNamespace::Container => self.in_container(open)?,
            UpstreamNamespace::Host => open(),
        }
    }
}
