//! The hosts files of running containers, which follow their networks and links while all other changes made inside stay.

use std::sync::{Arc, Mutex, PoisonError};

use crate::container::Record;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::paths::Paths;

/// Writes and changes hosts files, one at a time.
pub(crate) struct HostsFiles {
    paths: Arc<Paths>,
    alone: Mutex<()>,
}

impl HostsFiles {
    pub(super) fn new(paths: &Arc<Paths>) -> Self {
        Self { paths: Arc::clone(paths), alone: Mutex::default() }
    }

    /// Rewrites the hosts file of a container. No link changes while its content is made.
    pub(super) fn write(
        &self,
        record: &Record,
        content: impl FnOnce() -> Result<String, Error>,
    ) -> Result<(), Error> {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        network::names::write_in_place(&self.paths.hosts(&record.id), content()?).map_err(Error::Network)
    }

    /// Puts a running container's addresses in a network into its hosts file, below those that it has.
    pub(super) fn add_addresses(&self, record: &Record, endpoint: &Endpoint) {
        let Some(lease) = &endpoint.lease else { return };
        let addresses: Vec<_> = lease.addresses().collect();
        let settings = &record.settings;
        self.change(record, |content| {
            addresses.iter().fold(content.to_vec(), |content, address| {
                let (hostname, domainname) = (&settings.hostname, &settings.domainname);
                network::names::with_own_address(&content, *address, hostname, domainname)
            })
        });
    }

    /// Puts those of a running container's addresses into its hosts file that are missing there.
    pub(super) fn add_missing_addresses(&self, record: &Record) {
        let (addresses, settings) = (record.own_addresses(), &record.settings);
        self.change(record, |content| {
            let (hostname, domainname) = (&settings.hostname, &settings.domainname);
            network::names::with_missing_own_addresses(content, &addresses, hostname, domainname)
        });
    }

    /// Takes a running container's addresses in a network out of its hosts file.
    pub(super) fn remove_addresses(&self, record: &Record, endpoint: &Endpoint) {
        let Some(lease) = &endpoint.lease else { return };
        self.change(record, |content| {
            lease.addresses().fold(content.to_vec(), |content, address| {
                network::names::without_own_address(&content, address)
            })
        });
    }

    /// Changes the hosts file of a container in place, under a lock. A failure is logged.
    pub(super) fn change(&self, record: &Record, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = network::names::change_hosts(&self.paths.hosts(&record.id), change) {
            tracing::warn!("cannot change the hosts file of container {}: {error}", record.id);
        }
    }
}
