//! Decides what is mounted into a container: `Binds`, `Mounts`, `VolumesFrom` and `Volumes`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use model::{
    Access, Bind, BindSource, ContainerId, Digest, MountKind, MountMode, MountOrigin, MountPoint,
    MountRequest, MountedVolume, Propagation, Relabel, Spelled, Timestamp, VolumeDriverKind, VolumesFrom,
    kernel_words,
};

use super::service::{Volumes, choose_driver};
use super::volume::ANONYMOUS_LABEL;
use crate::container::{Record, mounts};
use crate::error::Error;
use crate::random;
use crate::store::VolumeRow;

/// The planned mounts of a container.
pub(super) struct Plan {
    /// In the order of inspect.
    pub(super) mounts: Vec<MountPoint>,
    /// The volumes among them.
    pub(super) volumes: Vec<VolumeRow>,
    /// The images that are mounted, by their places.
    pub(super) images: BTreeMap<String, Digest>,
}

/// Decides for one container.
pub(super) struct Planner<'v>(pub(super) &'v Volumes);

/// As many mounts a container may have: each is a directory to make and to fill before the container is there, and a
/// mount at every start.
const MOUNT_LIMIT: usize = 1000;

/// Refuses what is too much before any of it is made.
fn check_count(count: usize) -> Result<(), Error> {
    if count > MOUNT_LIMIT {
        return Err(Error::refused(format!(
            "{count} mounts are asked for, a container has at most {MOUNT_LIMIT}"
        )));
    }
    Ok(())
}

impl Planner<'_> {
    /// Decides what is mounted into a container. Its existing mounts stay where nothing else was requested.
    ///
    /// # Errors
    /// Refused, in the reference's words, when an entry is malformed.
    pub(super) fn plan(&self, record: &Record) -> Result<Plan, Error> {
        let host = &record.settings.host;
        if record.settings.may_need_a_volume_driver() {
            for driver in [&record.settings.volume_driver, &host.volume_driver] {
                choose_driver(driver)?;
            }
        }
        let count = host.binds.as_ref().map_or(0, Vec::len)
            + host.mounts.as_ref().map_or(0, Vec::len)
            + host.volumes_from.as_ref().map_or(0, Vec::len)
            + record.settings.volumes.iter().flatten().count();
        check_count(count)?;
        let mut asked = Vec::new();
        let mut own: Vec<MountPoint> = Vec::new();
        for bind in host.binds.iter().flatten() {
            mounts::check_duplicate(&own, &bind.destination)?;
            own.push(self.bind_point(bind, &mut asked));
        }
        let mut others: Vec<&str> = Vec::new();
        let mut images = BTreeMap::new();
        for request in host.mounts.iter().flatten() {
            let point = self.mount_point(request, &mut asked)?;
            mounts::check_free(&own, &others, &request.target)?;
            if let MountKind::Image { image, subpath } = &request.kind {
                let image = self.image(&record.id, image)?;
                if record.pod.is_some() {
                    self.check_part(&image, subpath)?;
                }
                images.insert(request.target.clone(), image);
            }
            match point {
                Some(point) => own.push(point),
                None => others.push(&request.target),
            }
        }
        if host.writable_submounts {
            own.iter_mut().for_each(|mount| mount.writable_submounts |= mount.is_bind());
        }
        let mut planned = self.mounts_from(host.volumes_from.as_deref().unwrap_or_default())?;
        // A mount of its own hides what VolumesFrom brought to the same place.
        planned.retain(|mount| own.iter().all(|own| own.destination != mount.destination));
        planned.append(&mut own);
        check_count(planned.len())?;
        let is_free =
            |planned: &[MountPoint], place: &str| planned.iter().all(|mount| mount.destination != place);
        for mount in &record.mounts {
            if is_free(&planned, &mount.destination) {
                planned.push(mount.clone());
            }
        }
        for destination in record.settings.volumes.iter().flatten() {
            let destination = mounts::clean(destination).to_string_lossy().into_owned();
            if destination == "/" {
                return Err(Error::system("mounting into / is prohibited"));
            }
            if is_free(&planned, &destination) {
                self.refuse_existing_file(record, &destination)?;
                let volume = new_volume(random::name(), Naming::Anonymous);
                planned.push(self.volume_point(&volume.name, String::new(), destination, Spelled::default()));
                asked.push(volume);
            }
        }
        let mut volumes: Vec<VolumeRow> = Vec::new();
        for MountedVolume { name, .. } in planned.iter().filter_map(MountPoint::volume) {
            if volumes.iter().all(|volume| volume.name != *name) {
                let asked = asked.iter().find(|volume| volume.name == *name).cloned();
                volumes.push(asked.unwrap_or_else(|| new_volume(name.clone(), Naming::Named)));
            }
        }
        Ok(Plan { mounts: planned, volumes, images })
    }

    /// The mounts of other containers that this one inherits.
    fn mounts_from(&self, entries: &[Spelled<VolumesFrom>]) -> Result<Vec<MountPoint>, Error> {
        let mut inherited: Vec<MountPoint> = Vec::new();
        for entry in entries {
            for mount in &self.0.directory.find(entry.container.as_str())?.record().mounts {
                let mut mount = mount.clone();
                if let Some(mode) = &entry.mode {
                    mount.writable = mount.writable && mode.is_writable();
                    mount.mode.clone_from(mode);
                }
                inherited.retain(|other| other.destination != mount.destination);
                inherited.push(mount);
            }
        }
        Ok(inherited)
    }

    /// The mount of a bind. A volume without a name, which `volumes` gets, is another one each time.
    fn bind_point(&self, bind: &Bind, volumes: &mut Vec<VolumeRow>) -> MountPoint {
        let shared = MountMode { relabel: Some(Relabel::Shared), ..MountMode::default() };
        let destination = bind.destination.clone();
        match &bind.source {
            BindSource::Volume(name) => {
                let mode = if bind.mode == Spelled::default() { shared.into() } else { bind.mode.clone() };
                self.volume_point(name, String::new(), destination, mode)
            }
            BindSource::Anonymous => {
                let volume = new_volume(random::name(), Naming::Anonymous);
                let point = self.volume_point(&volume.name, String::new(), destination, shared.into());
                volumes.push(volume);
                point
            }
            BindSource::Path(path) => MountPoint {
                source: path.clone(),
                destination,
                mode: bind.mode.clone(),
                writable: bind.mode.is_writable(),
                ..MountPoint::default()
            },
        }
    }

    fn volume_point(
        &self,
        name: &str,
        subpath: String,
        destination: String,
        mode: Spelled<MountMode>,
    ) -> MountPoint {
        let driver = VolumeDriverKind::default();
        MountPoint {
            source: self.0.driver(driver).content(name).to_string_lossy().into_owned(),
            origin: MountOrigin::Volume(MountedVolume { name: name.to_owned(), driver, subpath }),
            destination,
            writable: mode.is_writable(),
            mode,
            ..MountPoint::default()
        }
    }

    /// The mount of one request from the host or from a volume; `None` for memory and images.
    fn mount_point(
        &self,
        request: &MountRequest,
        volumes: &mut Vec<VolumeRow>,
    ) -> Result<Option<MountPoint>, Error> {
        let destination = mounts::clean(&request.target).to_string_lossy().into_owned();
        match &request.kind {
            MountKind::Tmpfs { .. } => Ok(None),
            MountKind::Image { .. } => Ok(None),
            MountKind::Bind { source, propagation, make_source, submounts, writable_submounts, owners } => {
                check_bind_source(source, *make_source)?;
                Ok(Some(MountPoint {
                    submounts: *submounts,
                    writable_submounts: *writable_submounts,
                    owners: *owners,
                    ..bind_mount(request, source, *propagation, destination)
                }))
            }
            MountKind::Volume { name, no_copy, labels, driver, options, subpath } => {
                self.0.driver(choose_driver(driver)?).check(options)?;
                let mut volume = match name {
                    Some(name) => new_volume(name.clone(), Naming::Named),
                    None => new_volume(random::name(), Naming::Anonymous),
                };
                volume.labels.extend(labels.clone());
                volume.options.clone_from(options);
                let mut mode = MountMode { no_copy: *no_copy, ..MountMode::default() };
                if request.read_only {
                    mode.access = Some(Access::ReadOnly);
                } else {
                    mode.relabel = Some(Relabel::Shared);
                }
                let point = self.volume_point(&volume.name, subpath.clone(), destination, mode.into());
                volumes.push(volume);
                Ok(Some(point))
            }
        }
    }

    /// Finds an image that is mounted, and keeps removals from it.
    fn image(&self, container: &ContainerId, name: &str) -> Result<Digest, Error> {
        let register = |image| self.0.directory.claim_mounted(container, image);
        let found = self.0.images.store().resolve_for_use(name, register);
        found.map(|image| image.id).map_err(|error| unknown_image(name, error))
    }

    /// Refuses a part of an image that it does not have.
    fn check_part(&self, image: &Digest, part: &str) -> Result<(), Error> {
        if part.is_empty() {
            return Ok(());
        }
        let lower = self.0.images.store().lower_directories_of(image).map_err(Error::Image)?;
        let has = images::has_in_layers(&lower, Path::new(part));
        match has
            .map_err(|source| Error::refused(format!("cannot look for {part} in the image: {source}")))?
        {
            true => Ok(()),
            false => Err(Error::refused(format!("the image to mount has no {part}"))),
        }
    }

    fn refuse_existing_file(&self, record: &Record, destination: &str) -> Result<(), Error> {
        let occupied = images::is_occupied(&self.0.images.lower_directories(record)?, Path::new(destination))
            .map_err(|source| {
                Error::refused(format!("cannot look for {destination} in the image: {source}"))
            })?;
        if occupied {
            return Err(Error::refused(format!(
                "cannot mount volume over existing file, file exists {destination}"
            )));
        }
        Ok(())
    }
}

/// Whether a request names a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Named,
    Anonymous,
}

fn new_volume(name: String, naming: Naming) -> VolumeRow {
    let label = (naming == Naming::Anonymous).then(|| (ANONYMOUS_LABEL.to_owned(), String::new()));
    VolumeRow {
        name,
        driver: VolumeDriverKind::default(),
        options: BTreeMap::new(),
        labels: label.into_iter().collect(),
        anonymous: naming == Naming::Anonymous,
        created: Timestamp::now(),
    }
}

/// Words an unknown image that is to be mounted.
fn unknown_image(name: &str, error: images::Error) -> Error {
    match error {
        images::Error::NoSuchImage(_) => Error::not_found(format!("No such image: {name}")),
        other => Error::Image(other),
    }
}

fn check_bind_source(source: &str, make_source: bool) -> Result<(), Error> {
    let cause = match std::fs::metadata(source) {
        _ if !source.starts_with('/') => format!("bind source path does not exist: {source}"),
        _ if make_source => return Ok(()),
        Ok(_) => return Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            format!("bind source path does not exist: {source}")
        }
        Err(error) => format!("stat {source}: {}", kernel_words(&error)),
    };
    Err(Error::refused(format!("invalid mount config for type \"bind\": {cause}")))
}

fn bind_mount(
    request: &MountRequest,
    source: &str,
    propagation: Option<Propagation>,
    destination: String,
) -> MountPoint {
    let access = request.read_only.then_some(Access::ReadOnly);
    MountPoint {
        source: mounts::clean(source).to_string_lossy().into_owned(),
        destination,
        writable: !request.read_only,
        mode: MountMode { access, propagation, ..MountMode::default() }.into(),
        ..MountPoint::default()
    }
}
