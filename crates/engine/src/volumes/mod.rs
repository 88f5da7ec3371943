//! Volumes: directories that outlive containers, made whole or not at all, shared and removed.

mod claim;
mod plan;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::database::Database;
use crate::directory::Directory;
use crate::error::{Error, file_error};
use crate::image::Images;
use crate::paths::Paths;
use crate::random;

/// Where volumes are, and who is about to use them.
pub(crate) struct Volumes {
    root: PathBuf,
    /// How many containers being made name each volume: no removal takes it from them.
    claims: Mutex<HashMap<String, usize>>,
    database: Arc<Database>,
    directory: Arc<Directory>,
    images: Arc<Images>,
    paths: Arc<Paths>,
}

impl Volumes {
    pub(crate) fn new(
        database: &Arc<Database>,
        directory: &Arc<Directory>,
        images: &Arc<Images>,
        paths: &Arc<Paths>,
    ) -> Self {
        Self {
            root: paths.volumes(),
            claims: Mutex::default(),
            database: Arc::clone(database),
            directory: Arc::clone(directory),
            images: Arc::clone(images),
            paths: Arc::clone(paths),
        }
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
