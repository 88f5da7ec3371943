//! `GET /system/df`: what images, containers and volumes take, as lists, and as sums since 1.52.

use std::collections::HashSet;
use std::sync::Arc;

use engine::builder::CacheRecord;
use engine::images::{ImageSummary, ImagesSize, ListFilter};
use engine::{Engine, Record, VolumeUsage};
use http::StatusCode;
use model::Digest;
use serde::Serialize;

use super::build_cache::BuildCache;
use crate::containers::Entries;
use crate::images::{Counts, ListedImage, failure};
use crate::version::{ApiVersion, Ranged, Until};
use crate::wire::{ContainerSummary, WireVolume};
use crate::{ApiError, Call, Handled, Reply};

/// Kinds of things, by the words of `type`.
const KINDS: [&str; 4] = ["image", "container", "volume", "build-cache"];

/// The requested kinds.
struct Wanted {
    images: bool,
    containers: bool,
    volumes: bool,
    build_cache: bool,
}

impl Wanted {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let types = if call.version.disk_usage_has_types() { call.query.all("type") } else { Vec::new() };
        if let Some(unknown) = types.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(ApiError::bad_request(format!("unknown object type: {unknown}")));
        }
        let is_wanted = |kind: &str| types.is_empty() || types.iter().any(|wanted| wanted == kind);
        let [images, containers, volumes, build_cache] = KINDS.map(is_wanted);
        Ok(Self { images, containers, volumes, build_cache })
    }
}

/// The answer: lists of what there is, sums of it, or both.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DiskUsage<'a> {
    #[serde(flatten)]
    lists: Option<Lists<'a>>,
    #[serde(flatten)]
    sums: Option<AllSums<'a>>,
}

/// Each kind by itself; `null` where it was not requested.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Lists<'a> {
    layers_size: u64,
    images: Option<Vec<ListedImage<'a>>>,
    containers: Option<Vec<ContainerSummary<'a>>>,
    volumes: Option<Vec<MeasuredVolume<'a>>>,
    build_cache: Option<Vec<BuildCache<'a>>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    builder_size: Until<42, u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AllSums<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_usage: Option<Sums<ListedImage<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_usage: Option<Sums<ContainerSummary<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_usage: Option<Sums<MeasuredVolume<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_cache_usage: Option<Sums<BuildCache<'a>>>,
}

/// The totals of objects of one kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sums<T> {
    active_count: usize,
    total_count: usize,
    reclaimable: u64,
    total_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<T>>,
}

/// A volume and what it takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MeasuredVolume<'a> {
    #[serde(flatten)]
    volume: WireVolume<'a>,
    usage_data: UsageData,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UsageData {
    ref_count: usize,
    size: u64,
}

/// The usage that was found.
struct Found {
    engine: Arc<Engine>,
    version: ApiVersion,
    wanted: Wanted,
    images: Vec<ImageSummary>,
    counts: Counts,
    images_size: ImagesSize,
    used_images: HashSet<Digest>,
    /// With the bytes of their own layers, and of those with their images'.
    containers: Vec<(Arc<Record>, (u64, u64))>,
    volumes: Vec<VolumeUsage>,
    build_cache: Vec<CacheRecord>,
}

pub(super) async fn disk_usage(call: &Call<'_>) -> Handled {
    let found = Found::measure(call, Wanted::read(call)?).await?;
    let version = call.version;
    let is_verbose = version.disk_usage_has_sums() && call.query.is_true("verbose");
    let answer = DiskUsage {
        // Current clients read them in all versions; specifications since 1.53 no longer have them.
        lists: (!is_verbose).then(|| found.lists()),
        sums: version.disk_usage_has_sums().then(|| found.sums(is_verbose)),
    };
    Reply::json(StatusCode::OK, &answer)
}

impl Found {
    async fn measure(call: &Call<'_>, wanted: Wanted) -> Result<Self, ApiError> {
        let (engine, store) = (call.engine, call.engine.images.store());
        let containers = if wanted.containers { engine.usage.of_containers().await? } else { Vec::new() };
        let volumes = if wanted.volumes { engine.usage.of_volumes().await? } else { Vec::new() };
        // Added to the images', since the prune of these removes them.
        let downloads = if wanted.images { engine.images.broken_downloads().await? } else { 0 };
        let counts = if wanted.images { Counts::all(call) } else { Counts::default() };
        let used_images = counts.used();
        let with_image = |(record, own): (Arc<Record>, u64)| {
            let of_image = store.virtual_size_of(&record.image).unwrap_or(0);
            (record, (own, own + of_image))
        };
        Ok(Self {
            engine: Arc::clone(engine),
            version: call.version,
            images: if wanted.images {
                store.list(&ListFilter::default()).map_err(failure)?
            } else {
                Vec::new()
            },
            images_size: if wanted.images {
                let ImagesSize { all, used } = store.size_of_images(&used_images);
                ImagesSize { all: all + downloads, used }
            } else {
                ImagesSize { all: 0, used: 0 }
            },
            used_images,
            counts,
            containers: containers.into_iter().map(with_image).collect(),
            volumes,
            build_cache: if wanted.build_cache { build_cache(call).await? } else { Vec::new() },
            wanted,
        })
    }

    fn lists(&self) -> Lists<'_> {
        let wanted = &self.wanted;
        Lists {
            layers_size: if wanted.images { self.images_size.all } else { 0 },
            images: wanted.images.then(|| self.images()),
            containers: wanted.containers.then(|| self.containers()),
            volumes: wanted.volumes.then(|| self.volumes()),
            build_cache: wanted.build_cache.then(|| self.build_cache()),
            builder_size: Ranged::at(self.version, || self.build_cache.iter().map(|cache| cache.size).sum()),
        }
    }

    fn sums(&self, is_verbose: bool) -> AllSums<'_> {
        let wanted = &self.wanted;
        AllSums {
            image_usage: wanted.images.then(|| Sums {
                active_count: self.images.iter().filter(|image| self.used_images.contains(&image.id)).count(),
                total_count: self.images.len(),
                reclaimable: self.images_size.all - self.images_size.used,
                total_size: self.images_size.all,
                items: is_verbose.then(|| self.images()),
            }),
            container_usage: wanted.containers.then(|| {
                let size = |only_active: bool| -> u64 {
                    let meant =
                        self.containers.iter().filter(|(record, _)| !only_active || is_active(record));
                    meant.map(|(_, (own, _))| own).sum()
                };
                Sums {
                    active_count: self.containers.iter().filter(|(record, _)| is_active(record)).count(),
                    total_count: self.containers.len(),
                    reclaimable: size(false) - size(true),
                    total_size: size(false),
                    items: is_verbose.then(|| self.containers()),
                }
            }),
            volume_usage: wanted.volumes.then(|| {
                let unused = self.volumes.iter().filter(|usage| usage.users == 0);
                Sums {
                    active_count: self.volumes.len() - unused.clone().count(),
                    total_count: self.volumes.len(),
                    reclaimable: unused.map(|usage| usage.size).sum(),
                    total_size: self.volumes.iter().map(|usage| usage.size).sum(),
                    items: is_verbose.then(|| self.volumes()),
                }
            }),
            build_cache_usage: wanted.build_cache.then(|| {
                let unused = self.build_cache.iter().filter(|cache| !cache.in_use);
                Sums {
                    active_count: self.build_cache.len() - unused.clone().count(),
                    total_count: self.build_cache.len(),
                    reclaimable: unused.filter(|cache| !cache.shared).map(|cache| cache.size).sum(),
                    total_size: self.build_cache.iter().map(|cache| cache.size).sum(),
                    items: is_verbose.then(|| self.build_cache()),
                }
            }),
        }
    }

    fn images(&self) -> Vec<ListedImage<'_>> {
        self.images.iter().map(|image| ListedImage::new(image, &self.counts, self.version)).collect()
    }

    fn containers(&self) -> Vec<ContainerSummary<'_>> {
        let records: Vec<Arc<Record>> =
            self.containers.iter().map(|(record, _)| Arc::clone(record)).collect();
        let mut entries = Entries::new(&self.engine, self.version, &records);
        self.containers.iter().map(|(record, sizes)| entries.entry(record, *sizes)).collect()
    }

    fn build_cache(&self) -> Vec<BuildCache<'_>> {
        self.build_cache.iter().map(|cache| BuildCache::new(cache, self.version)).collect()
    }

    fn volumes<'a>(&'a self) -> Vec<MeasuredVolume<'a>> {
        let measured = |usage: &'a VolumeUsage| MeasuredVolume {
            volume: WireVolume::new(&usage.volume, self.version),
            usage_data: UsageData { ref_count: usage.users, size: usage.size },
        };
        self.volumes.iter().map(measured).collect()
    }
}

/// Measures what is kept of builds.
async fn build_cache(call: &Call<'_>) -> Result<Vec<CacheRecord>, ApiError> {
    call.build_kit.cache_records().await.map_err(super::build::failure)
}

fn is_active(record: &Record) -> bool {
    record.is_running() || record.is_restarting()
}
