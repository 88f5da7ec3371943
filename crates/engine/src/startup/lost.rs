//! Shows what lies on the disk though its row is lost with the engine's database: containers' own files and volumes belong to
//! users, and nobody else knows of them. Without this they would be swept as what no row names.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{
    ContainerId, ContainerSpec, MountAccess, MountOrigin, MountPoint, MountSource, MountedVolume,
    RootFilesystem, Timestamp, VolumeDriverKind, check_volume_name,
};

use crate::paths::Paths;
use crate::record::Record;
use crate::shim::RECORD_LIMIT;
use crate::store::{Database, Durability, Row, Saved, VolumeRow, Written, lost_container};

/// Gives each volume and each container that has files and no row a row again. Nothing may be swept before these are written.
pub(super) fn recover(paths: &Paths, database: &Database, saved: &mut Saved) -> Option<Written> {
    if !saved.is_lost {
        return None;
    }
    let volumes = volumes(paths, &saved.volumes);
    let containers = containers(paths, &saved.containers);
    if volumes.is_empty() && containers.is_empty() {
        return None;
    }
    tracing::error!(
        "rows are lost with the engine's database: {} containers and {} volumes are found by their files alone. What \
         else was saved of them, and user-defined networks, is lost; those that run lose their interfaces and ports",
        containers.len(),
        volumes.len()
    );
    let mut rows: Vec<Row> = volumes.iter().cloned().map(Row::Volume).collect();
    rows.extend(containers.iter().map(|record| Row::Container(Arc::new(record.clone()))));
    let written = database.write(rows, Durability::PowerLoss);
    saved.volumes.extend(volumes);
    saved.containers.extend(containers);
    Some(written)
}

/// Finds the images of containers that run though their settings are lost: no removal takes these.
pub(super) fn find_images(paths: &Paths, store: &images::Store, containers: &mut [Record]) {
    for record in containers.iter_mut().filter(|record| record.damaged) {
        if store.lower_directories_of(&record.image).is_err()
            && let Some(RootFilesystem::Overlay { lower, .. }) =
                specification(paths, &record.id).map(|spec| spec.root)
            && let Some(image) = store.image_of_directories(&lower)
        {
            record.image = image;
        }
    }
}

/// What a container that runs was started with.
fn specification(paths: &Paths, id: &ContainerId) -> Option<ContainerSpec> {
    let text = sys::bounded_read::read(&paths.run(id).spec(), RECORD_LIMIT).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The volumes that have a directory and no row. Whoever made them, they go with no container.
fn volumes(paths: &Paths, known: &[VolumeRow]) -> Vec<VolumeRow> {
    let lost = |(name, path): (String, PathBuf)| {
        let is_volume = check_volume_name(&name).is_ok() && path.join("_data").is_dir();
        (is_volume && known.iter().all(|row| row.name != name)).then(|| VolumeRow {
            driver: VolumeDriverKind::Local,
            options: Default::default(),
            labels: Default::default(),
            anonymous: false,
            created: made(&path.join("_data")),
            name,
        })
    };
    directories(&paths.volumes()).filter_map(lost).collect()
}

/// The containers that have files and no row; what runs says what it is called and has mounted.
fn containers(paths: &Paths, known: &[Record]) -> Vec<Record> {
    let lost = |(name, path): (String, PathBuf)| {
        let id = ContainerId::parse(&name).ok()?;
        if known.iter().any(|record| record.id == id) {
            return None;
        }
        let spec = specification(paths, &id);
        let name = spec.as_ref().map_or("", |spec| spec.name.as_str());
        let is_taken = known.iter().any(|record| record.name == name);
        let mut record = lost_container(id, if is_taken { "" } else { name }, made(&path));
        record.mounts = spec.map(|spec| mounted_volumes(&spec, &paths.volumes())).unwrap_or_default();
        Some(record)
    };
    directories(&paths.containers()).filter_map(lost).collect()
}

/// The volumes that a container has mounted: no prune takes these.
fn mounted_volumes(spec: &ContainerSpec, root: &Path) -> Vec<MountPoint> {
    let mount = |mount: &model::Mount| {
        let source = match &mount.source {
            MountSource::Bind(path) => path.clone(),
            MountSource::Held { volume, .. } => root.join(volume).join("_data"),
            _ => return None,
        };
        let name = source.strip_prefix(root).ok()?.iter().next()?.to_str()?.to_owned();
        let subpath = mount.subpath.as_ref().map(|part| part.to_string_lossy().into_owned());
        let volume =
            MountedVolume { name, driver: VolumeDriverKind::Local, subpath: subpath.unwrap_or_default() };
        Some(MountPoint {
            origin: MountOrigin::Volume(volume),
            source: source.to_string_lossy().into_owned(),
            destination: mount.destination.to_string_lossy().into_owned(),
            writable: mount.access == MountAccess::ReadWrite,
            ..MountPoint::default()
        })
    };
    spec.mounts.iter().filter_map(mount).collect()
}

/// The directories in one, with their names.
fn directories(path: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

/// When a directory was changed last: the only time that is known of what is in it.
fn made(path: &Path) -> Timestamp {
    let metadata = path.metadata().ok();
    let nanoseconds = |metadata: &std::fs::Metadata| u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let time =
        metadata.and_then(|metadata| Timestamp::from_unix(metadata.mtime(), nanoseconds(&metadata)).ok());
    time.unwrap_or(Timestamp::NEVER)
}
