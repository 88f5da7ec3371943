//! Volumes: directories that outlive containers, made whole or not at all, shared and removed.

mod plan;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ContainerId, MountPoint};

use crate::container::{Record, mounts};
use crate::database::VolumeRows;
use crate::engine::Engine;
use crate::error::{Error, file_error};
use crate::random;

use plan::Plan;

/// Where volumes are, and who is about to use them.
pub(crate) struct Volumes {
    root: PathBuf,
    /// How many containers being made name each volume: no removal takes it from them.
    claims: Mutex<HashMap<String, usize>>,
}

impl Volumes {
    pub(crate) fn open(root: &Path) -> Self {
        Self { root: root.to_owned(), claims: Mutex::default() }
    }

    /// The directory that holds a volume's content.
    pub(crate) fn content(&self, name: &str) -> PathBuf {
        self.root.join(name).join("_data")
    }

    /// Makes a volume if it does not exist; says whether it was made. It appears with all that `fill`
    /// puts into it, or not at all. Until it is recorded, or a container that uses it, the next start
    /// of the daemon sweeps it; what was half made as well.
    pub(crate) fn ensure(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let content = self.content(name);
        if content.exists() {
            return Ok(false);
        }
        let begun = self.root.join(format!(".new-{}", random::name()));
        let data = begun.join("_data");
        let made = std::fs::create_dir_all(&data)
            .map_err(file_error("make the volume", &data))
            .and_then(|()| fill(&data))
            .and_then(|()| self.publish(name, &data));
        crate::disposal::delete_tree(&begun);
        made
    }

    /// Gives a filled directory its place; false when somebody else was quicker.
    fn publish(&self, name: &str, data: &Path) -> Result<bool, Error> {
        let content = self.content(name);
        let parent = self.root.join(name);
        sys::private::directory(&parent).map_err(file_error("make the volume", &parent))?;
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(rustix::fs::CWD, data, rustix::fs::CWD, &content, flags) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(file_error("make the volume", &content)(error.into())),
        }
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds volumes for a container that is being made. Dropped before [`Claim::keep`], it takes away
/// again what was made for it.
pub(crate) struct Claim<'e> {
    engine: &'e Engine,
    names: Vec<String>,
    made: Vec<String>,
}

impl Claim<'_> {
    /// The container is known now, and its volumes with it.
    pub(crate) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claims = self.engine.volumes.claims();
        for name in &self.names {
            if let Some(count) = claims.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    claims.remove(name);
                }
            }
        }
        for name in &self.made {
            self.engine.remove_unused(&claims, name);
        }
    }
}

impl Engine {
    /// Gives a container its mounts: decides, makes and fills volumes, has `save` write the record and
    /// the volumes it uses.
    ///
    /// # Errors
    /// What was asked for is refused, or a volume cannot be made or filled. Nothing is left then.
    pub(crate) fn mount_volumes(
        &self,
        record: &mut Record,
        save: impl FnOnce(&Record, &VolumeRows) -> Result<(), Error>,
    ) -> Result<Claim<'_>, Error> {
        let Plan { mounts, anonymous } = self.plan_mounts(record)?;
        let claim = self.make_volumes(record, &mounts)?;
        record.mounts = mounts;
        let row = |name: &String| (name.clone(), anonymous.contains(name));
        let rows = VolumeRows { used: claim.names.iter().map(row).collect(), gone: Vec::new() };
        save(record, &rows)?;
        Ok(claim)
    }

    /// Makes and fills the volumes that a plan names and that do not exist.
    fn make_volumes(&self, record: &Record, planned: &[MountPoint]) -> Result<Claim<'_>, Error> {
        let named = || planned.iter().filter(|mount| !mount.name.is_empty());
        let names: Vec<String> = named().map(|mount| mount.name.clone()).collect();
        for name in &names {
            *self.volumes.claims().entry(name.clone()).or_default() += 1;
        }
        let mut claim = Claim { engine: self, names, made: Vec::new() };
        for mount in named() {
            let fill = |target: &Path| self.fill_volume(record, mount, target);
            if self.volumes.ensure(&mount.name, fill)? {
                claim.made.push(mount.name.clone());
            }
        }
        Ok(claim)
    }

    /// Copies what the image has at a new volume's place into the volume.
    fn fill_volume(&self, record: &Record, mount: &MountPoint, target: &Path) -> Result<(), Error> {
        if !mounts::copies_up(&mount.mode) {
            return Ok(());
        }
        let lower = self.lower_directories(record)?;
        images::copy_up(&lower, Path::new(&mount.destination), target).map_err(Error::Image)
    }

    /// Deletes volumes that a daemon died over: neither recorded nor used by a container.
    pub(crate) fn sweep_volumes(&self) -> Result<(), Error> {
        let mut known: HashSet<String> = self.database.volumes()?.into_iter().collect();
        for container in self.directory.all() {
            known.extend(container.record().mounts.iter().map(|mount| mount.name.clone()));
        }
        for entry in std::fs::read_dir(&self.volumes.root).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
                crate::disposal::delete_tree(&entry.path());
            }
        }
        Ok(())
    }

    /// Removes the anonymous volumes that a container had, that it does not keep and that no other one
    /// uses. `write` deletes their rows in one step with what it writes of the container: a directory
    /// without a row is swept by the next daemon.
    ///
    /// # Errors
    /// Those of `write`, and of the database; then nothing is removed.
    pub(crate) fn release_volumes(
        &self,
        record: &Record,
        kept: &[MountPoint],
        write: impl FnOnce(Vec<String>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let claims = self.volumes.claims();
        let mut gone: Vec<String> = Vec::new();
        for MountPoint { name, .. } in &record.mounts {
            let is_kept = kept.iter().any(|kept| kept.name == *name) || gone.contains(name);
            if !name.is_empty()
                && !is_kept
                && !self.is_used(&claims, name, Some(&record.id))
                && self.database.is_anonymous(name)?
            {
                gone.push(name.clone());
            }
        }
        write(gone.clone())?;
        for name in gone {
            self.discard_volume(&name);
        }
        Ok(())
    }

    /// Whether a container uses a volume, or one being made will. One container may be left out.
    fn is_used(&self, claims: &HashMap<String, usize>, name: &str, but: Option<&ContainerId>) -> bool {
        let uses = |record: &Record| record.mounts.iter().any(|mount| mount.name == name);
        let others = self.directory.all().into_iter().filter(|container| Some(container.id()) != but);
        claims.contains_key(name) || others.into_iter().any(|container| uses(&container.record()))
    }

    /// Removes a volume that was never recorded, unless somebody else uses it by now.
    fn remove_unused(&self, claims: &HashMap<String, usize>, name: &str) {
        if self.is_used(claims, name, None) {
            return;
        }
        match self.database.delete_volume(name) {
            Ok(()) => self.discard_volume(name),
            Err(error) => tracing::warn!("cannot remove volume {name}: {error}"),
        }
    }

    /// Moves a volume without a row out of sight, and deletes it later.
    fn discard_volume(&self, name: &str) {
        let directory = self.volumes.root.join(name);
        let trash = self.trash().join(format!("volume-{}", random::name()));
        match std::fs::rename(&directory, &trash) {
            Ok(()) => drop(std::thread::spawn(move || crate::disposal::delete_tree(&trash))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!("{}", file_error("move away", &directory)(error));
            }
        }
    }
}
