//! The driver `local`: a directory of the engine's own for each volume, or a mount that its options name.

mod options;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use model::Owners;
use options::LocalMount;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::driver::{Fill, VolumeDriver};
use crate::disposal::delete_tree;
use crate::error::{Error, file_error};
use crate::random;
use crate::size_limit;

/// Where the file system has no quotas of projects, in dockerd's words.
const NO_QUOTA: &str = "quota size requested but no quota support";

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

    /// Fills a directory that nothing refers to yet, passes it on with whether it has content, and deletes
    /// what is left of it. `act` is its purpose; `limit` sets how much it may hold before it has anything.
    fn staged<T>(
        &self,
        act: &'static str,
        limit: impl FnOnce(&Path) -> Result<(), Error>,
        fill: Fill<'_>,
        hand_on: impl FnOnce(&Path, bool) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begun = self.root.join(format!(".new-{}", random::name()));
        let data = begun.join("_data");
        let done = std::fs::create_dir_all(&data)
            .map_err(file_error(act, &data))
            .and_then(|()| limit(&data))
            .and_then(|()| fill(&data))
            .and_then(|has_content| hand_on(&data, has_content));
        delete_tree(&begun);
        done
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

/// Limits what a volume's directory may hold.
fn limit(directory: &Path, size: u64) -> Result<(), Error> {
    size_limit::set(&[directory], size).map_err(|error| match size_limit::is_unsupported(&error) {
        true => Error::refused(NO_QUOTA),
        false => file_error("limit the volume in", directory)(error),
    })
}

/// Removes the limit of a volume's directory, if it has one.
fn release(directory: &Path) {
    // A file system without projects has no limits.
    if let Err(error) = size_limit::release(directory)
        && !size_limit::is_unsupported(&error)
    {
        tracing::warn!("cannot remove the limit of {}: {error}", directory.display());
    }
}

/// Whether a directory is there and has nothing in it.
fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Moves the content of a directory into an empty one, with its owner, mode and attributes. Each entry
/// appears whole, and none replaces one that was made there meanwhile.
fn move_content(from: &Path, to: &Path) -> Result<(), Error> {
    images::take_over(from, to).map_err(Error::Image)?;
    let failed = || file_error("fill the volume", to);
    for entry in std::fs::read_dir(from).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        match renameat_with(CWD, entry.path(), CWD, to.join(entry.file_name()), RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed()(error.into())),
        }
    }
    Ok(())
}

impl VolumeDriver for Local {
    fn check(&self, options: &BTreeMap<String, String>) -> Result<(), Error> {
        LocalMount::parse(options)?;
        match size_limit::of_options(Some(options))? {
            Some(_) if !size_limit::is_supported(&self.root) => Err(Error::refused(NO_QUOTA)),
            Some(_) | None => Ok(()),
        }
    }

    fn is_mount(&self, options: &BTreeMap<String, String>) -> bool {
        // What cannot be read any more is no directory either.
        !matches!(LocalMount::parse(options), Ok(None))
    }

    fn content(&self, volume: &str) -> PathBuf {
        self.root.join(volume).join("_data")
    }

    fn create(
        &self,
        volume: &str,
        options: &BTreeMap<String, String>,
        fill: Fill<'_>,
    ) -> Result<bool, Error> {
        if self.content(volume).exists() {
            return Ok(false);
        }
        let Some(size) = size_limit::of_options(Some(options))? else {
            return self.staged("make the volume", |_| Ok(()), fill, |data, _| self.publish(volume, data));
        };
        let limit = |data: &Path| limit(data, size);
        let mut fill = |data: &Path| fill(data).inspect_err(|_| release(data));
        self.staged("make the volume", limit, &mut fill, |data, _| {
            let published = self.publish(volume, data);
            if !matches!(published, Ok(true)) {
                release(data);
            }
            published
        })
    }

    fn fill_empty(
        &self,
        volume: &str,
        options: &BTreeMap<String, String>,
        fill: Fill<'_>,
    ) -> Result<(), Error> {
        match LocalMount::parse(options)? {
            None => {}
            Some(LocalMount::Bind { directory, .. }) if is_empty(Path::new(directory)) => {
                return fill(Path::new(directory)).map(drop);
            }
            // What is not mounted has no place yet.
            Some(_) => return Ok(()),
        }
        let content = self.content(volume);
        if !is_empty(&content) {
            return Ok(());
        }
        // Between projects nothing can be renamed.
        let share =
            |data: &Path| size_limit::share(&content, data).map_err(file_error("fill the volume", data));
        self.staged("make the directory", share, fill, |data, has_content| {
            if has_content { move_content(data, &content) } else { Ok(()) }
        })
    }

    fn mount(&self, volume: &str, options: &BTreeMap<String, String>) -> Result<OwnedFd, Error> {
        let mount = LocalMount::parse(options)?;
        let mount = mount.ok_or_else(|| Error::refused(format!("the volume {volume} is no mount")))?;
        mount.open(volume)
    }

    fn owners(&self, options: &BTreeMap<String, String>) -> Owners {
        match LocalMount::parse(options) {
            Ok(Some(LocalMount::Bind { .. })) => Owners::OfHost,
            Ok(Some(LocalMount::FileSystem { .. }) | None) | Err(_) => Owners::OfContainer,
        }
    }

    fn remove(&self, volume: &str) -> Result<(), Error> {
        let directory = self.root.join(volume);
        let trash = self.trash.join(format!("volume-{}", random::name()));
        match std::fs::rename(&directory, &trash) {
            Ok(()) => {
                release(&trash.join("_data"));
                let path = trash.clone();
                let thread = std::thread::Builder::new().name("volume".to_owned());
                if thread.spawn(move || delete_tree(&path)).is_err() {
                    // No thread can be made: it is deleted here.
                    delete_tree(&trash);
                }
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
