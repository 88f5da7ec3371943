//! Removes what is left of finished builds in the background: a client need not wait until the kernel has released a network.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::RwLock;
use tokio::task;

use crate::container::Container;
use crate::container::remove::Remover;

/// How long the daemon's end waits: what is left then, the next daemon removes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Removals that run in the background of builds: each holds a read lock as long as it takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remains(Arc<RwLock<()>>);

impl Remains {
    /// Removes containers, which no client sees as soon as this returns, and calls `end` when they are gone.
    pub(super) fn remove(
        &self,
        containers: Vec<Arc<Container>>,
        remover: &Arc<Remover>,
        runtime: &Handle,
        end: Box<dyn FnOnce() + Send>,
    ) {
        let removals: Vec<_> =
            containers.into_iter().map(|container| remover.remove_hidden(container)).collect();
        let under_way = Arc::clone(&self.0).try_read_owned();
        runtime.spawn(async move {
            for removal in removals {
                if let Err(error) = removal.await {
                    // It is in the lists again and can be removed by hand.
                    tracing::warn!("cannot remove a container that hosted steps of a build: {error}");
                }
            }
            // Files go: that may wait for the disk.
            let _ = task::spawn_blocking(end).await;
            drop(under_way);
        });
    }

    /// Waits until all removals are over.
    pub(crate) async fn until_gone(&self) {
        if tokio::time::timeout(TIMEOUT, self.0.write()).await.is_err() {
            tracing::warn!("what is left of builds is not removed yet: the next start removes it");
        }
    }
}
