//! Hides paths of /proc and /sys from the container and makes others read-only.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::{ContainerSpec, MASKED_PATHS, READ_ONLY_PATHS};
use rustix::fs::FileType;
use rustix::io::Errno;
use sys::mount::{AttributeChange, MountAttributes};

use super::place::{self, Root};
use super::{attach, copy_mount, mounts};
use crate::StartError;
use crate::error::Doing;

/// Hides and protects what the specification, or the default, names.
///
/// Every place is opened once, checked, and covered through that descriptor. `null` is a verified null device
/// on a detached or attached mount.
pub(crate) fn hide(spec: &ContainerSpec, root: &Root, null: OwnedFd) -> Result<(), StartError> {
    let mut covers = Covers { null: Cover::new(null), empty: None };
    for path in paths(spec.masked_paths.as_ref(), &MASKED_PATHS, spec.privileged) {
        covers.mask(root, path)?;
    }
    for path in paths(spec.read_only_paths.as_ref(), &READ_ONLY_PATHS, spec.privileged) {
        protect(root, path)?;
    }
    Ok(())
}

fn paths<'a>(chosen: Option<&'a Vec<PathBuf>>, default: &'a [&str], privileged: bool) -> Vec<&'a Path> {
    match chosen {
        Some(paths) => paths.iter().map(PathBuf::as_path).collect(),
        None if privileged => Vec::new(),
        None => default.iter().map(Path::new).collect(),
    }
}

/// The mounts that are laid over hidden paths.
struct Covers {
    /// Over files.
    null: Cover,
    /// Over directories; made for the first one.
    empty: Option<Cover>,
}

impl Covers {
    fn mask(&mut self, root: &Root, path: &Path) -> Result<(), StartError> {
        let act = || format!("hiding {}", path.display());
        let Some(found) = find(root, path)? else { return Ok(()) };
        if place::file_type(&found).doing_with(act)? != FileType::Directory {
            return self.null.lay_over(&found).doing_with(act);
        }
        if self.empty.is_none() {
            self.empty = Some(Cover::new(mounts::tmpfs("ro,nr_inodes=2").doing_with(act)?));
        }
        self.empty.as_mut().map_or(Ok(()), |empty| empty.lay_over(&found)).doing_with(act)
    }
}

/// A mount that lies over several places.
struct Cover {
    mount: OwnedFd,
    is_attached: bool,
}

impl Cover {
    const fn new(mount: OwnedFd) -> Self {
        Self { mount, is_attached: false }
    }

    fn lay_over(&mut self, place: &OwnedFd) -> rustix::io::Result<()> {
        if self.is_attached {
            return attach(copy_mount(&self.mount, false)?, place);
        }
        // A detached mount cannot be copied before Linux 6.15, an attached one can.
        attach(&self.mount, place)?;
        self.is_attached = true;
        Ok(())
    }
}

fn protect(root: &Root, path: &Path) -> Result<(), StartError> {
    let act = || format!("protecting {}", path.display());
    let Some(found) = find(root, path)? else { return Ok(()) };
    let copy = copy_mount(&found, true).doing_with(act)?;
    let change =
        AttributeChange { set: MountAttributes::READ_ONLY, recursive: true, ..AttributeChange::default() };
    sys::mount::set_attributes(copy.as_fd(), c"", change).doing_with(act)?;
    attach(copy, found).doing_with(act)
}

/// A path that this kernel does not have needs no hiding.
fn find(root: &Root, path: &Path) -> Result<Option<OwnedFd>, StartError> {
    match root.find(path) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).doing_with(|| format!("hiding {}", path.display())),
    }
}
