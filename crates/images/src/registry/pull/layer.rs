//! Fetches the layers of an image, several at once, each downloaded and unpacked in one pass.

use std::path::Path;

use model::Digest;

use crate::registry::download::{Blob, Download, file_error};
use crate::registry::error::RegistryError;
use crate::registry::in_flight::InFlight;
use crate::registry::kept;
use crate::registry::manifest::ManifestError;
use crate::registry::parallel::for_each;
use crate::registry::progress::{Message, Progress};
use crate::registry::session::Session;
use crate::{Layer, LayerBlob, Store, budget::Budget};

/// A layer that an image needs.
pub(super) struct LayerPlan {
    pub(super) blob: Blob,
    pub(super) media_type: String,
    /// Unknown for layers of schema 1.
    pub(super) diff_id: Option<Digest>,
}

/// Fetches layers from one repository.
pub(super) struct Layers<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) progress: &'a dyn Progress,
    pub(super) in_flight: &'a InFlight,
    /// The limit of all layers' unpacked sizes.
    pub(super) budget: Budget,
}

impl Layers<'_> {
    /// Fetches what is missing and holds all, in the order of the plans.
    pub(super) fn fetch(&self, plans: &[LayerPlan]) -> Result<Vec<Layer>, RegistryError> {
        let mut held: Vec<Option<Layer>> = Vec::with_capacity(plans.len());
        let mut missing: Vec<&LayerPlan> = Vec::new();
        for plan in plans {
            let known = self.known(plan)?;
            if missing.iter().any(|other| other.blob.digest == plan.blob.digest) {
                // An image may have the same layer twice; it is fetched once.
            } else if known.is_some() {
                self.report(plan, "Already exists");
            } else {
                self.report(plan, "Pulling fs layer");
                missing.push(plan);
            }
            held.push(known);
        }
        let transport = self.session.transport();
        let threads = transport.settings().parallel_downloads.max(1);
        let fetched = for_each(&missing, threads, transport.cancellation(), |plan| self.fetch_one(plan));
        let fetched = fetched.inspect_err(|error| {
            if error.is_want_of_room() {
                // What would be kept to go on with later is what there is no room for.
                let digests = missing.iter().map(|plan| plan.blob.digest);
                self.in_flight.remove(&self.store.download_directory(), digests);
            }
        })?;
        let take = |(plan, held): (&LayerPlan, Option<Layer>)| {
            let layer = held.or_else(|| {
                let position = missing.iter().position(|other| other.blob.digest == plan.blob.digest)?;
                fetched.get(position).cloned()
            });
            let layer = layer.ok_or(RegistryError::Cancelled)?;
            check_diff_id(plan, &layer)?;
            Ok(layer)
        };
        plans.iter().zip(held).map(take).collect()
    }

    fn report(&self, plan: &LayerPlan, what: &str) {
        self.progress.report(Message::state(plan.blob.digest.short(), what));
    }

    /// The layer, if the store has it: by its own digest, or by a blob that was verified before. One that came as another
    /// blob, compressed otherwise, or that was made here, is fetched as this one too: what came is saved and sent on as it
    /// came.
    fn known(&self, plan: &LayerPlan) -> Result<Option<Layer>, RegistryError> {
        let Some(diff_id) = plan.diff_id else { return Ok(self.store.layer_of_blob(&plan.blob.digest)?) };
        let Some(layer) = self.store.layer(&diff_id) else { return Ok(None) };
        let verified = self.store.layer_blobs(&diff_id)?;
        if let Some(blob) = verified.iter().find(|blob| blob.digest == plan.blob.digest) {
            self.remember(&layer, blob)?;
        } else if plan.blob.digest != diff_id && layer.kept_blob(plan.blob.digest).is_none() {
            return Ok(None);
        }
        Ok(Some(layer))
    }

    /// Notes that the repository has the blob too: a push there need not send it.
    fn remember(&self, layer: &Layer, blob: &LayerBlob) -> Result<(), RegistryError> {
        let repository = kept::repository_of(self.session);
        if blob.repository != repository {
            self.store.remember_layer_blob(&layer.diff_id(), &LayerBlob { repository, ..blob.clone() })?;
        }
        Ok(())
    }

    fn fetch_one(&self, plan: &LayerPlan) -> Result<Layer, RegistryError> {
        let digest = plan.blob.digest;
        let turn = match self.in_flight.try_take(digest) {
            Some(turn) => turn,
            None => {
                self.report(plan, "Waiting");
                let cancellation = self.session.transport().cancellation();
                let turn = self.in_flight.take(digest, self.progress, cancellation);
                turn.ok_or(RegistryError::Cancelled)?
            }
        };
        // Another pull may have brought it while this one waited.
        if let Some(layer) = self.known(plan)? {
            self.report(plan, "Already exists");
            return Ok(layer);
        }
        let progress = turn.shared(self.progress);
        match self.download(plan, &progress)? {
            Outcome::Done(layer) => Ok(layer),
            // What an earlier process left was damaged: once more from the beginning.
            Outcome::StaleStart => match self.download(plan, &progress)? {
                Outcome::Done(layer) => Ok(layer),
                Outcome::StaleStart => Err(RegistryError::Cancelled),
            },
        }
    }

    fn download(&self, plan: &LayerPlan, progress: &dyn Progress) -> Result<Outcome, RegistryError> {
        let directory = self.store.download_directory();
        let path = directory.join(plan.blob.digest.hexadecimal());
        let mut download = Download::open(self.session, &plan.blob, &directory, progress)?;
        let resumed = download.is_resumed();
        let unpacked = self.store.unpack_layer_within(self.budget.source(&mut download), &self.budget);
        let failed = |error| wrong(&path, resumed, error);
        if let Some(error) = download.take_failure() {
            return failed(error);
        }
        if unpacked.is_ok() {
            self.report(plan, "Verifying Checksum");
        }
        // Read to its end also when it cannot be unpacked: wrong content is the better reason.
        let finished = download.finish();
        let layer = match (unpacked, finished) {
            (Ok(layer), Ok(_)) => layer,
            (Err(error), Ok(_)) => {
                remove(&path);
                return Err(error.into());
            }
            (_, Err(error)) => return failed(error),
        };
        self.report(plan, "Download complete");
        if let Err(error) = check_diff_id(plan, &layer) {
            remove(&path);
            return Err(error.into());
        }
        let size = std::fs::metadata(&path).map_err(|source| file_error("look at", &path, source))?.len();
        let id = plan.blob.digest.short();
        self.progress.report(Message::amount(id, "Extracting", size, size));
        layer.keep_blob(plan.blob.digest, size, &path)?;
        let blob = LayerBlob {
            digest: plan.blob.digest,
            size,
            media_type: plan.media_type.clone(),
            repository: kept::repository_of(self.session),
        };
        self.store.remember_layer_blob(&layer.diff_id(), &blob)?;
        self.report(plan, "Pull complete");
        Ok(Outcome::Done(layer))
    }
}

enum Outcome {
    Done(Layer),
    StaleStart,
}

/// Ends a download that failed: what is wrong goes, what is incomplete stays to be resumed.
fn wrong(path: &Path, resumed: bool, error: RegistryError) -> Result<Outcome, RegistryError> {
    if !matches!(error, RegistryError::WrongDigest { .. } | RegistryError::WrongSize { .. }) {
        return Err(error);
    }
    remove(path);
    // Its first part may have been damaged by the process that left it here.
    if resumed { Ok(Outcome::StaleStart) } else { Err(error) }
}

fn check_diff_id(plan: &LayerPlan, layer: &Layer) -> Result<(), ManifestError> {
    match plan.diff_id {
        Some(expected) if expected != layer.diff_id() => Err(ManifestError::Inconsistent(format!(
            "the layer {} has the content {}, its config says {expected}",
            plan.blob.digest,
            layer.diff_id()
        ))),
        _ => Ok(()),
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "cannot remove a wrong download");
    }
}
