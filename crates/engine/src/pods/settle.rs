//! Settles what the last daemon left of pods in networks of plugins: deletes, checks, and collects.

use std::sync::Arc;

use model::{ContainerId, ErrorKind};

use super::service::Pods;

/// Takes up what is left, behind the start of the daemon: plugins may take their time.
pub(crate) fn settle(pods: &Arc<Pods>) {
    // Read before anything new can be made.
    let (left, pods) = (pods.networks.left(), Arc::clone(pods));
    for id in &left.half_made {
        pods.unfinished.leave(id);
    }
    tokio::spawn(async move {
        for id in left.half_made {
            // No client has its id: it goes as a whole.
            match pods.remove_sandbox(id.as_str()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!("a sandbox that was being connected: {}", model::with_causes(&error));
                }
                Ok(()) | Err(_) => pods.unfinished.forget(&id),
            }
            disconnect(&pods, &id).await;
        }
        for id in left.ended {
            disconnect(&pods, &id).await;
        }
        pods.networks.inspect(left.connected).await;
    });
}

async fn disconnect(pods: &Pods, id: &ContainerId) {
    if let Err(error) = pods.networks.delete(id).await {
        tracing::warn!("the network of the ended sandbox {id}: {}", model::with_causes(&error));
    }
}
