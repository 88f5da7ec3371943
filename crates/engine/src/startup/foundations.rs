//! Opens the parts below the services in parallel: the network, the image store with the builder over it, and
//! the connections to running shims. None of them needs another, and each is mostly work of the kernel.
//!
//! ```text
//! the engine's database ─▶ network ────────▶ ┐
//!                       ├▶ store ──────────▶ ├─ Foundations
//!                       └▶ shims that run ─▶ ┘
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use model::ContainerId;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::container::{Phase, Record};
use crate::error::Error;
use crate::options::Options;
use crate::outcome::joined;
use crate::paths::Paths;
use crate::shim::FoundShim;

/// The opened parts.
pub(super) struct Foundations {
    pub(super) network: network::Network,
    pub(super) store: images::Store,
    pub(super) builder: builder::Builder,
    pub(super) shims: FoundShims,
}

/// The shims that an earlier daemon left, by their containers.
pub(super) type FoundShims = HashMap<ContainerId, FoundShim>;

/// Opens all of it, the network in the calling thread; if one fails, the others have finished when this returns.
///
/// # Errors
/// The first of network and store that cannot be opened.
pub(super) async fn open(
    (options, paths): (&Arc<Options>, &Arc<Paths>),
    containers: &[Record],
    open_network: impl FnOnce() -> Result<network::Network, Error>,
) -> Result<Foundations, Error> {
    let shims = find_shims(paths, containers);
    let (options, paths) = (Arc::clone(options), Arc::clone(paths));
    let store = spawn_blocking(move || open_store(&options, &paths));
    let network = open_network();
    let (store, shims) = (joined(store.await), joined(shims.await));
    let (network, shims) = (network?, shims?);
    let (store, builder) = store??;
    Ok(Foundations { network, store, builder, shims })
}

/// Begins to connect to the shims of the containers that ran.
fn find_shims(paths: &Paths, containers: &[Record]) -> JoinHandle<FoundShims> {
    let ran = containers.iter().filter(|record| matches!(record.phase, Phase::Running(_) | Phase::Paused(_)));
    let directories: Vec<_> = ran.map(|record| (record.id.clone(), paths.run(&record.id))).collect();
    spawn_blocking(move || {
        let found = |(id, directory)| Some((id, FoundShim::look(&directory)?));
        directories.into_iter().filter_map(found).collect()
    })
}

fn open_store(options: &Options, paths: &Paths) -> Result<(images::Store, builder::Builder), Error> {
    let store = images::Store::open(options.data_root.join("images")).map_err(Error::Image)?;
    if let Some(bytes) = options.unpack_allowance {
        store.set_unpack_allowance(bytes);
    }
    let builder =
        builder::Builder::new(store.clone(), paths.builds(), paths.build_secrets(), &options.version)
            .map_err(|error| Error::refused(error.to_string()))?;
    Ok((store, builder))
}
