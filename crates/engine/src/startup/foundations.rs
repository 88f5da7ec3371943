//! Opens the parts below the services in parallel: the engine's database with the network and the connections to running shims,
//! for which it is read first, and the image store with the builder over it. Each is mostly work of the kernel.
//!
//! ```text
//! the engine's database ─▶ network ────────▶ ┐
//!                       └▶ shims that run ─▶ ├─ Foundations
//! store ───────────────────────────────────▶ ┘
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use model::ContainerId;
use tokio::task::{JoinHandle, spawn_blocking};

use super::state::State;
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

/// Opens all of it, the database and the network in the calling thread; if one fails, the others have finished when this
/// returns.
///
/// # Errors
/// The first of database, network and store that cannot be opened.
pub(super) async fn open(options: &Arc<Options>, paths: &Arc<Paths>) -> Result<(State, Foundations), Error> {
    let store = {
        let (options, paths) = (Arc::clone(options), Arc::clone(paths));
        spawn_blocking(move || open_store(&options, &paths))
    };
    let opened = open_state(options, paths).await;
    let store = joined(store.await);
    let (state, network, shims) = opened?;
    let (store, builder) = store??;
    Ok((state, Foundations { network, store, builder, shims }))
}

/// Opens the database, and what it is read for.
async fn open_state(
    options: &Options,
    paths: &Paths,
) -> Result<(State, network::Network, FoundShims), Error> {
    let (state, recovered) = State::read(options, paths)?;
    if let Some(recovered) = recovered {
        recovered.wait().await?;
    }
    let shims = find_shims(paths, &state.saved.containers);
    let network = state.open_network();
    let shims = joined(shims.await);
    Ok((state, network?, shims?))
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
