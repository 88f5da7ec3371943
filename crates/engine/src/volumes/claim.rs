//! The volumes of a container: claimed while it is made, released when it goes.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use model::{ContainerId, MountPoint};

use super::Volumes;
use super::plan::Plan;
use crate::container::Record;
use crate::database::VolumeRows;
use crate::error::{Error, file_error};
use crate::random;

/// Holds volumes for a container that is being made. Dropped before [`Claim::keep`], it takes away
/// again what was made for it.
pub(crate) struct Claim<'v> {
    volumes: &'v Volumes,
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
        let mut claims = self.volumes.claims();
        for name in &self.names {
            if let Some(count) = claims.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    claims.remove(name);
                }
            }
        }
        for name in &self.made {
            self.volumes.remove_unused(&claims, name);
        }
    }
}

impl Volumes {
    /// Gives a container its mounts: decides, makes and fills volumes, has `save` write the record and
    /// the volumes it uses.
    ///
    /// # Errors
    /// What was asked for is refused, or a volume cannot be made or filled. Nothing is left then.
    pub(crate) fn mount(
        &self,
        record: &mut Record,
        save: impl FnOnce(&Record, &VolumeRows) -> Result<(), Error>,
    ) -> Result<Claim<'_>, Error> {
        let Plan { mounts, anonymous } = self.plan_mounts(record)?;
        let claim = self.make(record, &mounts)?;
        record.mounts = mounts;
        let row = |name: &String| (name.clone(), anonymous.contains(name));
        let rows = VolumeRows { used: claim.names.iter().map(row).collect(), gone: Vec::new() };
        save(record, &rows)?;
        Ok(claim)
    }

    /// Makes and fills the volumes that a plan names and that do not exist.
    fn make(&self, record: &Record, planned: &[MountPoint]) -> Result<Claim<'_>, Error> {
        let named = || planned.iter().filter(|mount| !mount.name.is_empty());
        let names: Vec<String> = named().map(|mount| mount.name.clone()).collect();
        for name in &names {
            *self.claims().entry(name.clone()).or_default() += 1;
        }
        let mut claim = Claim { volumes: self, names, made: Vec::new() };
        for mount in named() {
            let fill = |target: &Path| self.fill(record, mount, target);
            if self.ensure(&mount.name, fill)? {
                claim.made.push(mount.name.clone());
            }
        }
        Ok(claim)
    }

    /// Copies what the image has at a new volume's place into the volume.
    fn fill(&self, record: &Record, mount: &MountPoint, target: &Path) -> Result<(), Error> {
        if mount.mode.no_copy {
            return Ok(());
        }
        let lower = self.images.lower_directories(record)?;
        images::copy_up(&lower, Path::new(&mount.destination), target).map_err(Error::Image)
    }

    /// Deletes volumes that a daemon died over: neither recorded nor used by a container.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        let mut known: HashSet<String> = self.database.volumes()?.into_iter().collect();
        for container in self.directory.all() {
            known.extend(container.record().mounts.iter().map(|mount| mount.name.clone()));
        }
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
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
    pub(crate) fn release(
        &self,
        record: &Record,
        kept: &[MountPoint],
        write: impl FnOnce(Vec<String>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let claims = self.claims();
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
            self.discard(&name);
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
            Ok(()) => self.discard(name),
            Err(error) => tracing::warn!("cannot remove volume {name}: {error}"),
        }
    }

    /// Moves a volume without a row out of sight, and deletes it later.
    fn discard(&self, name: &str) {
        let directory = self.root.join(name);
        let trash = self.paths.trash().join(format!("volume-{}", random::name()));
        match std::fs::rename(&directory, &trash) {
            Ok(()) => drop(std::thread::spawn(move || crate::disposal::delete_tree(&trash))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!("{}", file_error("move away", &directory)(error));
            }
        }
    }
}
