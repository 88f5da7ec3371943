//! Sandboxes that clients are waiting for: no two are ready with the same metadata.

use std::sync::{Mutex, PoisonError};

use engine::Pods;
use tonic::Status;

use crate::description;
use crate::wire::sandbox::{PodSandboxConfig, PodSandboxMetadata};

/// The metadata of the sandboxes that clients are waiting for.
#[derive(Debug, Default)]
pub(super) struct BeingRun(Mutex<Vec<PodSandboxMetadata>>);

/// Metadata that no other sandbox may have, until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved<'b> {
    all: &'b BeingRun,
    metadata: PodSandboxMetadata,
}

impl BeingRun {
    /// Takes a sandbox's metadata; refused while another sandbox of the same is ready or is being run.
    pub(super) fn reserve(&self, metadata: PodSandboxMetadata, pods: &Pods) -> Result<Reserved<'_>, Status> {
        let taken = |by: &str| {
            let PodSandboxMetadata { name, namespace, uid, attempt } = &metadata;
            let pod = format!("attempt {attempt} of the pod {namespace}/{name} with the uid {uid:?}");
            Status::already_exists(format!("cannot run {pod}: {by}"))
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains(&metadata) {
            return Err(taken("it is being run already"));
        }
        let live = pods.sandboxes().into_iter().find(|sandbox| {
            (sandbox.is_running() || pods.unfinished.has(&sandbox.id))
                && description::read::<PodSandboxConfig>(sandbox).metadata.as_ref() == Some(&metadata)
        });
        if let Some(sandbox) = live {
            return Err(taken(&format!("its sandbox {} is there", sandbox.id)));
        }
        all.push(metadata.clone());
        Ok(Reserved { all: self, metadata })
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| *other != self.metadata);
    }
}
