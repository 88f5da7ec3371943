//! `ImageService`: images of the engine's store. An image's `image_ref` is its id, everywhere.

mod disk_usage;
mod pinned;
mod pull;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;
use engine::images::{ImageDetails, ListFilter, RemoveOptions, Store};
use model::{ErrorKind, ImageReference};
use tonic::Status;

use crate::blocking::apart;
use crate::status::{invalid, of_engine, of_images};
use crate::wire::image::{
    Image, ImageFsInfoRequest, ImageFsInfoResponse, ImageStatusRequest, ImageStatusResponse,
    ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest,
    RemoveImageResponse,
};
use crate::wire::value::ImageSpec;
use disk_usage::DiskUsage;
use pinned::Pinned;

/// Images, and the way to registries.
pub(crate) struct ImageService {
    engine: Arc<Engine>,
    disk_usage: DiskUsage,
    pinned: Pinned,
}

impl ImageService {
    /// The images of these names are to be kept.
    pub(crate) fn new(engine: &Arc<Engine>, pinned_images: &[ImageReference]) -> Self {
        Self {
            engine: Arc::clone(engine),
            disk_usage: DiskUsage::default(),
            pinned: Pinned::of(pinned_images),
        }
    }

    /// `ListImages`
    pub(crate) async fn list(
        self: Arc<Self>,
        asked: ListImagesRequest,
    ) -> Result<ListImagesResponse, Status> {
        apart(move || {
            let store = self.engine.images.store();
            let wanted = asked.filter.and_then(|filter| filter.image).map(|spec| spec.image);
            let images = match wanted.filter(|text| !text.is_empty()) {
                Some(text) => find(store, &text)?.into_iter().collect(),
                None => {
                    let listed = store.list(&ListFilter::default()).map_err(|error| of_images(&error))?;
                    let found = listed.iter().map(|image| find(store, &image.id.to_string()));
                    // One that goes meanwhile is not listed.
                    found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect::<Vec<_>>()
                }
            };
            Ok(ListImagesResponse { images: images.iter().map(|image| shown(image, &self.pinned)).collect() })
        })
        .await
    }

    /// `ImageStatus`: an unknown image is no failure.
    pub(crate) async fn status(
        self: Arc<Self>,
        asked: ImageStatusRequest,
    ) -> Result<ImageStatusResponse, Status> {
        let text = named(asked.image.as_ref())?;
        apart(move || {
            let store = self.engine.images.store();
            let Some(details) = find(store, &text)? else { return Ok(ImageStatusResponse::default()) };
            let info = if asked.verbose { info(store, &details)? } else { BTreeMap::new() };
            Ok(ImageStatusResponse { image: Some(shown(&details, &self.pinned)), info })
        })
        .await
    }

    /// `PullImage`: ends when the client does.
    pub(crate) async fn pull(self: Arc<Self>, asked: PullImageRequest) -> Result<PullImageResponse, Status> {
        let text = named(asked.image.as_ref())?;
        let id = pull::pull(&self.engine, &text, asked.auth).await?;
        Ok(PullImageResponse { image_ref: id.to_string() })
    }

    /// `RemoveImage`: the image with all its names; one that is not there is gone.
    pub(crate) async fn remove(
        self: Arc<Self>,
        asked: RemoveImageRequest,
    ) -> Result<RemoveImageResponse, Status> {
        let text = named(asked.image.as_ref())?;
        let found = apart({
            let service = Arc::clone(&self);
            move || find(service.engine.images.store(), &text)
        });
        let Some(details) = found.await? else { return Ok(RemoveImageResponse {}) };
        let options = RemoveOptions { all_names: true, ..RemoveOptions::default() };
        match self.engine.images.remove(&details.image.id.to_string(), options).await {
            Ok(_) => Ok(RemoveImageResponse {}),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(RemoveImageResponse {}),
            Err(error) => Err(of_engine(&error)),
        }
    }

    /// `ImageFsInfo`
    pub(crate) async fn file_systems(
        self: Arc<Self>,
        _asked: ImageFsInfoRequest,
    ) -> Result<ImageFsInfoResponse, Status> {
        apart(move || {
            let usage = self.disk_usage.measure(self.engine.images.store().root());
            let usage = usage.map_err(|error| Status::internal(error.to_string()))?;
            // Containers' own layers are on the same file system: it is not named twice.
            Ok(ImageFsInfoResponse { image_filesystems: vec![usage], container_filesystems: Vec::new() })
        })
        .await
    }
}

/// The image that a request names.
fn named(spec: Option<&ImageSpec>) -> Result<String, Status> {
    let text = spec.map(|spec| spec.image.clone()).unwrap_or_default();
    if text.is_empty() { Err(invalid("the request names no image")) } else { Ok(text) }
}

/// The image that a text names, if it is there.
fn find(store: &Store, text: &str) -> Result<Option<ImageDetails>, Status> {
    match store.inspect(text, None) {
        Ok(details) => Ok(Some(details)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_images(&error)),
    }
}

/// An image as Kubernetes sees it.
fn shown(details: &ImageDetails, pinned: &Pinned) -> Image {
    let settings = details.image.config.config.as_ref();
    let (uid, username) = user::of_image(settings.map_or("", |settings| &settings.user));
    let qualified = |names: &[String]| names.iter().map(|name| model::qualified(name)).collect::<Vec<_>>();
    let (repo_tags, repo_digests) = (qualified(&details.tags), qualified(&details.digests));
    Image {
        id: details.image.id.to_string(),
        size: details.image.virtual_size,
        uid,
        username,
        spec: Some(ImageSpec { image: details.image.id.to_string(), ..ImageSpec::default() }),
        pinned: repo_tags.iter().chain(&repo_digests).any(|name| pinned.has(name)),
        repo_tags,
        repo_digests,
    }
}

/// The additional information of a verbose `ImageStatus`.
fn info(store: &Store, details: &ImageDetails) -> Result<BTreeMap<String, String>, Status> {
    let config = store.document_of(&details.image.id, &details.image.config_digest);
    let config = config.map_err(|error| of_images(&error))?;
    let config: serde_json::Value =
        serde_json::from_slice(&config).map_err(|error| Status::internal(error.to_string()))?;
    Ok(BTreeMap::from([("info".to_owned(), serde_json::json!({ "imageSpec": config }).to_string())]))
}
