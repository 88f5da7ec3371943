//! What the engine's database says of the last daemon's state.

use std::sync::Arc;

use crate::error::Error;
use crate::networks::opening;
use crate::options::Options;
use crate::paths::Paths;
use crate::store::{Database, Saved, Written};

/// The database, all of its rows, and what the default network is made with.
pub(super) struct State {
    pub(super) database: Arc<Database>,
    pub(super) saved: Saved,
    of_default: network::Options,
}

impl State {
    /// Opens the database and reads it. Blocks. Gives with it the write of what was found on the disk alone.
    ///
    /// # Errors
    /// When it cannot be opened or read, or is of a later berth; contradictions of the default network.
    pub(super) fn read(options: &Options, paths: &Paths) -> Result<(Self, Option<Written>), Error> {
        let path = options.data_root.join("state.db");
        let (database, mut saved) = Database::open(&path, crate::fault::of_database())?;
        let database = Arc::new(database);
        let recovered = super::lost::recover(paths, &database, &mut saved);
        let of_default = opening::default_options(options, &saved.networks)?;
        Ok((Self { database, saved, of_default }, recovered))
    }

    /// Opens the default network, with the endpoints of the containers that ran. Blocks.
    ///
    /// # Errors
    /// Those of the network.
    pub(super) fn open_network(&self) -> Result<network::Network, Error> {
        let endpoints = opening::saved_leases_of_default(&self.saved.containers);
        let faults = crate::fault::of_network();
        network::Network::open_with(&self.of_default, endpoints, faults).map_err(Error::Network)
    }
}
