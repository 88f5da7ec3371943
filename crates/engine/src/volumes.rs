//! Volumes: directories that outlive containers, made, filled, shared and removed.

use std::path::{Path, PathBuf};

use model::{ContainerId, MountPoint};

use crate::container::create::{check_duplicate, is_host_path};
use crate::container::{Record, mounts};
use crate::database::Database;
use crate::engine::{Engine, random_bytes};
use crate::error::{Error, file_error};

/// Where volumes are.
pub(crate) struct Volumes(PathBuf);

impl Volumes {
    pub(crate) fn open(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The directory that holds a volume's content.
    pub(crate) fn content(&self, name: &str) -> PathBuf {
        self.0.join(name).join("_data")
    }

    /// Makes a volume if it does not exist; says whether it was made. Until it is recorded, or a
    /// container that uses it, the next start of the daemon sweeps it.
    pub(crate) fn ensure(&self, name: &str) -> Result<bool, Error> {
        let content = self.content(name);
        if content.exists() {
            return Ok(false);
        }
        std::fs::create_dir_all(&content).map_err(file_error("make the volume", &content))?;
        Ok(true)
    }

    /// Removes a volume and all in it.
    pub(crate) fn remove(&self, database: &Database, name: &str) -> Result<(), Error> {
        let directory = self.0.join(name);
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_error("remove the volume", &directory)(error));
            }
            _ => {}
        }
        database.delete_volume(name)
    }
}

impl Engine {
    /// Decides what is mounted into a container, and makes and fills its volumes.
    ///
    /// # Errors
    /// Refused, in the reference's words, when an entry is malformed.
    pub(crate) fn plan_mounts(&self, record: &Record) -> Result<Vec<MountPoint>, Error> {
        let host = &record.host_config;
        let mut planned = self.mounts_from(host.volumes_from.as_deref().unwrap_or_default())?;
        let inherited = planned.len();
        let driver = record.config.volume_driver.as_str();
        if !matches!(driver, "" | "local") {
            return Err(Error::not_found(format!(
                "Error looking up volume plugin {driver}: Plugin not found"
            )));
        }
        for text in host.binds.iter().flatten() {
            let bind = mounts::parse_bind(text)?;
            check_duplicate(&planned[inherited..], &bind.destination)?;
            planned.push(self.bind_point(&bind));
        }
        for spec in host.mounts.iter().flatten().filter(|spec| spec.kind != "tmpfs") {
            let point = self.mount_point(spec)?;
            check_duplicate(&planned[inherited..], &point.destination)?;
            planned.push(point);
        }
        // A later mount hides what VolumesFrom brought to the same place.
        let own: Vec<String> = planned[inherited..].iter().map(|mount| mount.destination.clone()).collect();
        let mut place = 0;
        planned.retain(|mount| {
            place += 1;
            place > inherited || !own.contains(&mount.destination)
        });
        for destination in record.config.volumes.iter().flat_map(|volumes| volumes.keys()) {
            let destination = mounts::clean(destination).to_string_lossy().into_owned();
            if destination == "/" {
                return Err(Error::System("mounting into / is prohibited".to_owned()));
            }
            if planned.iter().any(|mount| mount.destination == destination) {
                continue;
            }
            if self.image_has_file(record, &destination)? {
                return Err(Error::refused(format!(
                    "cannot mount volume over existing file, file exists {destination}"
                )));
            }
            let name = ContainerId::from_random(random_bytes()).to_string();
            planned.push(self.volume_point(name, destination, ""));
        }
        for mount in planned.iter().filter(|mount| !mount.name.is_empty()) {
            if self.volumes.ensure(&mount.name)? {
                self.fill_volume(record, mount)?;
            }
        }
        Ok(planned)
    }

    /// The mounts of other containers that this one inherits.
    fn mounts_from(&self, entries: &[String]) -> Result<Vec<MountPoint>, Error> {
        let mut inherited: Vec<MountPoint> = Vec::new();
        for entry in entries {
            let (container, mode) = mounts::parse_volumes_from(entry)?;
            for mount in &self.find(&container)?.record().mounts {
                let mut mount = mount.clone();
                if let Some(mode) = &mode {
                    mount.rw = mount.rw && mounts::is_writable(mode);
                    mount.mode.clone_from(mode);
                }
                inherited.retain(|other| other.destination != mount.destination);
                inherited.push(mount);
            }
        }
        Ok(inherited)
    }

    fn bind_point(&self, bind: &model::BindMount) -> MountPoint {
        if !is_host_path(&bind.source) {
            let mode = if bind.mode.is_empty() { "z" } else { bind.mode.as_str() };
            return self.volume_point(bind.source.clone(), bind.destination.clone(), mode);
        }
        MountPoint {
            name: String::new(),
            source: bind.source.clone(),
            destination: bind.destination.clone(),
            driver: String::new(),
            mode: bind.mode.clone(),
            rw: mounts::is_writable(&bind.mode),
        }
    }

    fn volume_point(&self, name: String, destination: String, mode: &str) -> MountPoint {
        MountPoint {
            source: self.volumes.content(&name).to_string_lossy().into_owned(),
            name,
            destination,
            driver: "local".to_owned(),
            mode: mode.to_owned(),
            rw: mounts::is_writable(mode),
        }
    }

    fn mount_point(&self, spec: &model::MountSpec) -> Result<MountPoint, Error> {
        let destination = mounts::clean(&spec.target).to_string_lossy().into_owned();
        if !spec.target.starts_with('/') || destination == "/" {
            return Err(Error::refused(format!(
                "invalid mount config: the target '{}' is not usable",
                spec.target
            )));
        }
        let mode = if spec.read_only { "ro" } else { "" };
        match spec.kind.as_str() {
            "bind" => {
                if !spec.source.starts_with('/') || !Path::new(&spec.source).exists() {
                    return Err(Error::refused(format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {}",
                        spec.source
                    )));
                }
                let propagation = spec
                    .bind_options
                    .as_ref()
                    .and_then(|options| options.get("Propagation")?.as_str().map(str::to_owned));
                let words = [mode.to_owned(), propagation.unwrap_or_default()];
                let mode =
                    words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(",");
                Ok(MountPoint {
                    source: mounts::clean(&spec.source).to_string_lossy().into_owned(),
                    destination,
                    rw: !spec.read_only,
                    mode,
                    ..MountPoint::default()
                })
            }
            "volume" => {
                let name = if spec.source.is_empty() {
                    ContainerId::from_random(random_bytes()).to_string()
                } else {
                    mounts::check_volume_name(&spec.source)?;
                    spec.source.clone()
                };
                let mode = if mode.is_empty() { "z" } else { mode };
                Ok(self.volume_point(name, destination, mode))
            }
            other => {
                Err(Error::refused(format!("invalid mount config: mount type \"{other}\" is not known")))
            }
        }
    }

    /// Whether the image has something that is no directory at a path.
    fn image_has_file(&self, record: &Record, path: &str) -> Result<bool, Error> {
        let name = path.trim_start_matches('/');
        let found = self
            .lower_directories(record)?
            .into_iter()
            .find_map(|layer| std::fs::symlink_metadata(layer.join(name)).ok());
        Ok(found.is_some_and(|found| found.is_file()))
    }

    /// Copies what the image has at a new volume's place into the volume.
    fn fill_volume(&self, record: &Record, mount: &MountPoint) -> Result<(), Error> {
        let lower = self.lower_directories(record)?;
        images::copy_up(&lower, Path::new(&mount.destination), Path::new(&mount.source)).map_err(Error::Image)
    }

    /// Records the volumes of a container that is recorded itself.
    pub(crate) fn record_volumes(&self, record: &Record) -> Result<(), Error> {
        for mount in record.mounts.iter().filter(|mount| !mount.name.is_empty()) {
            self.database.save_volume(&mount.name, mount.name.len() == 64)?;
        }
        Ok(())
    }

    /// Deletes volumes that a daemon died over: neither recorded nor used by a container.
    pub(crate) fn sweep_volumes(&self) -> Result<(), Error> {
        let mut known: std::collections::HashSet<String> = self.database.volumes()?.into_iter().collect();
        for container in self.directory.all() {
            known.extend(container.record().mounts.iter().map(|mount| mount.name.clone()));
        }
        for entry in std::fs::read_dir(&self.volumes.0).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
                crate::container::remove::delete_tree(&entry.path());
            }
        }
        Ok(())
    }

    /// Lets go of a container's volumes; with `remove`, anonymous ones that nobody else uses go away.
    pub(crate) fn release_volumes(&self, record: &Record, remove: bool) {
        if !remove {
            return;
        }
        for mount in record.mounts.iter().filter(|mount| mount.name.len() == 64) {
            let others = self.directory.all();
            let is_used = others.iter().any(|other| {
                *other.id() != record.id
                    && other.record().mounts.iter().any(|theirs| theirs.name == mount.name)
            });
            if !is_used && let Err(error) = self.volumes.remove(&self.database, &mount.name) {
                tracing::warn!("cannot remove volume {}: {error}", mount.name);
            }
        }
    }
}
