//! The driver `local`: a directory of the engine's own for each volume.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::driver::{Fill, VolumeDriver};
use crate::disposal::delete_tree;
use crate::error::{Error, file_error};
use crate::random;

/// Keeps volumes in directories.
pub(super) struct Local {
    /// Holds one directory a volume.
    root: PathBuf,
    /// Where directories wait for their deletion.
    trash: PathBuf,
}

impl Local {
    pub(super) fn new(root: PathBuf, trash: PathBuf) -> Self {
        Self { root, trash }
    }

    /// Gives a filled directory its place; false when another caller was quicker.
    fn publish(&self, volume: &str, data: &Path) -> Result<bool, Error> {
        let content = self.content(volume);
        let parent = self.root.join(volume);
        sys::private::directory(&parent).map_err(file_error("make the volume", &parent))?;
        match renameat_with(CWD, data, CWD, &content, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(file_error("make the volume", &content)(error.into())),
        }
    }
}

impl VolumeDriver for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, options: &BTreeMap<String, String>) -> Result<(), Error> {
        let Some(name) = options.keys().next() else { return Ok(()) };
        Err(match name.as_str() {
            "type" | "o" | "device" => {
                Error::unsupported(format!("the option {name} of the local driver is not possible yet"))
            }
            "size" => Error::refused("quota size requested but no quota support"),
            other => Error::refused(format!("invalid option: {other:?}")),
        })
    }

    fn content(&self, volume: &str) -> PathBuf {
        self.root.join(volume).join("_data")
    }

    fn create(&self, volume: &str, fill: Fill<'_>) -> Result<bool, Error> {
        if self.content(volume).exists() {
            return Ok(false);
        }
        let begun = self.root.join(format!(".new-{}", random::name()));
        let data = begun.join("_data");
        let made = std::fs::create_dir_all(&data)
            .map_err(file_error("make the volume", &data))
            .and_then(|()| fill(&data))
            .and_then(|()| self.publish(volume, &data));
        delete_tree(&begun);
        made
    }

    fn remove(&self, volume: &str) -> Result<(), Error> {
        let directory = self.root.join(volume);
        let trash = self.trash.join(format!("volume-{}", random::name()));
        match std::fs::rename(&directory, &trash) {
            Ok(()) => {
                std::thread::spawn(move || delete_tree(&trash));
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file_error("move away", &directory)(error)),
        }
    }

    fn sweep(&self, is_known: &dyn Fn(&str) -> bool) {
        for entry in std::fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(is_known) {
                delete_tree(&entry.path());
            }
        }
    }
}
