//! `GET /containers/json`: newest first, filtered, with the names that links give.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use berth_http::JsonList;
use engine::images::registry::Descriptor;
use engine::{Engine, Record};
use http::StatusCode;
use model::{ContainerId, Digest, Timestamp};

use super::list_filter::ListFilter;
use crate::filters::Filters;
use crate::version::ApiVersion;
use crate::wire::{ContainerSummary, LookedUp, image_id};
use crate::{ApiError, Call, Handled, Reply};

/// The selection of a list.
struct Selection {
    all: bool,
    limit: usize,
    /// Only those made after each of these.
    since: Vec<ContainerId>,
    /// Only those made before each of these.
    before: Vec<ContainerId>,
    filter: ListFilter,
}

pub(super) async fn list(call: &Call<'_>) -> Handled {
    let selection = Selection::read(call)?;
    let records = call.engine.containers.records();
    let with_sizes = call.query.is_true("size");
    let mut entries = Entries::new(call.engine, call.version, &records).with_manifests();
    let mut list = JsonList::default();
    for record in selection.choose(&records) {
        let sizes = if with_sizes { call.engine.files.sizes(record).await? } else { Some((0, 0)) };
        // It has gone since the list was made.
        let Some(sizes) = sizes else { continue };
        list.push(&entries.entry(record, sizes));
    }
    Ok(Reply::Whole(list.response(StatusCode::OK)))
}

/// Makes the entries of a list, with look-ups that are shared by all of them.
pub(crate) struct Entries<'a> {
    engine: &'a Engine,
    version: ApiVersion,
    now: Timestamp,
    aliases: HashMap<ContainerId, Vec<String>>,
    /// The images that names of images mean now, for all platforms.
    images: HashMap<String, Vec<Digest>>,
    /// The manifests of the containers' images, where the list has them.
    manifests: Option<HashMap<(Digest, String), Option<Descriptor>>>,
}

impl<'a> Entries<'a> {
    /// `records` are those of all containers that may link to listed ones.
    pub(crate) fn new(engine: &'a Engine, version: ApiVersion, records: &[Arc<Record>]) -> Self {
        let (now, aliases) = (Timestamp::now(), aliases(records));
        Self { engine, version, now, aliases, images: HashMap::new(), manifests: None }
    }

    /// Entries with the manifests of images, in versions that have them.
    pub(crate) fn with_manifests(self) -> Self {
        let manifests = self.version.container_list_has_manifests().then(HashMap::new);
        Self { manifests, ..self }
    }

    /// The entry of one container; `sizes` are those of its own layer and of all layers.
    pub(crate) fn entry<'r>(&mut self, record: &'r Record, sizes: (u64, u64)) -> ContainerSummary<'r> {
        let looked_up = LookedUp {
            image: self.image(record),
            manifest: self.manifest(record),
            aliases: self.aliases.remove(&record.id).unwrap_or_default(),
            sizes,
        };
        ContainerSummary::new(record, looked_up, self.now, self.version)
    }

    /// The manifest of a container's image; none where that goes meanwhile.
    fn manifest(&mut self, record: &Record) -> Option<Descriptor> {
        let (store, called) = (self.engine.images.store(), &record.settings.image);
        let known = self.manifests.as_mut()?.entry((record.image, called.clone()));
        known.or_insert_with(|| store.manifest_called(&record.image, called).unwrap_or_default()).clone()
    }

    /// The name of a container's image: that of its creation, or its id where that name has moved to another image.
    fn image<'r>(&mut self, record: &'r Record) -> Cow<'r, str> {
        let name = &record.settings.image;
        if !self.version.container_list_follows_image_names() {
            return Cow::Borrowed(name);
        }
        let store = self.engine.images.store();
        let present = match self.images.get(name) {
            Some(known) => known,
            None => {
                let present = store.platforms_of(name).unwrap_or_default();
                self.images.entry(name.clone()).or_insert(present)
            }
        };
        if present.contains(&record.image) {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(image_id(&record.image, self.version))
        }
    }
}

/// Further names: `/parent/alias` for each container that links to one.
fn aliases(records: &[Arc<Record>]) -> HashMap<ContainerId, Vec<String>> {
    let mut aliases: HashMap<ContainerId, Vec<String>> = HashMap::new();
    for record in records {
        for (alias, target) in &record.links {
            aliases.entry(target.clone()).or_default().push(format!("/{}/{alias}", record.name));
        }
    }
    aliases
}

impl Selection {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let limit: Option<i64> = call.query.number_if_filled("limit").map_err(ApiError::bad_parameter)?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let filters = Filters::parse(call.query.text("filters")).map_err(ApiError::bad_parameter)?;
        let ids = |name: &str| {
            let filter = filters.values(name).iter().map(String::as_str);
            let references = call.query.filled(name).into_iter().chain(filter);
            let found = references.map(|reference| Ok(call.engine.containers.find(reference)?.id().clone()));
            found.collect::<Result<Vec<ContainerId>, ApiError>>()
        };
        let implied = limit.is_some()
            || ["since", "before"].into_iter().any(|name| call.query.filled(name).is_some())
            || ["status", "exited"].into_iter().any(|name| !filters.values(name).is_empty());
        Ok(Self {
            all: call.query.is_true("all") || implied,
            limit: limit.unwrap_or(usize::MAX),
            since: ids("since")?,
            before: ids("before")?,
            filter: ListFilter::read(filters, call.engine)?,
        })
    }

    /// The records to show, of all records newest first.
    fn choose<'a>(&'a self, records: &'a [Arc<Record>]) -> impl Iterator<Item = &'a Arc<Record>> {
        let position = |id: &ContainerId| records.iter().position(|record| record.id == *id);
        let first = self.before.iter().filter_map(position).max().map_or(0, |at| at + 1);
        let end = self.since.iter().filter_map(position).min().unwrap_or(records.len());
        let within = records.get(first..end.max(first)).unwrap_or_default();
        within.iter().filter(|record| self.shows(record)).take(self.limit)
    }

    fn shows(&self, record: &Record) -> bool {
        (self.all || record.is_running() || record.is_restarting()) && self.filter.fits(record)
    }
}
