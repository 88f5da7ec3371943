//! The layer below all others of a step of a build. It has the mount points that many images lack, and which the runtime would
//! make in the step's own layer, only for them to be taken out of it again.
//!
//! An image hides of it what it has itself, or has deleted. What a step does to it is taken out of the step's changes as what it
//! does to any mount point is.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::file_error;

/// As many layers as overlay stacks (fs/overlayfs/params.h, `OVL_MAX_STACK`).
const LAYER_LIMIT: usize = 500;

/// Directories that the runtime makes in every root that lacks them, with its modes.
const DIRECTORIES: [&str; 4] = ["proc", "sys", "dev", "etc"];
const FILES: [(&str, u32); 4] =
    [(".dockerenv", 0o755), ("etc/resolv.conf", 0o644), ("etc/hostname", 0o644), ("etc/hosts", 0o644)];

/// The layer, made when the first step needs it.
pub(crate) struct BaseLayer {
    path: PathBuf,
    /// Whether it is made. After a failure, such as a full disk, the next step tries again.
    made: Mutex<bool>,
}

impl BaseLayer {
    /// A layer in a directory of its own on the file system of the other layers.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, made: Mutex::new(false) }
    }

    /// Whether it is there; it is made where it is not.
    pub(crate) fn is_there(&self) -> bool {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            *made = self.make();
        }
        *made
    }

    /// The layers of an image, topmost first, with this one below them. A step does without where it cannot be made, or is one too
    /// many.
    pub(crate) fn below(&self, mut layers: Vec<PathBuf>) -> Vec<PathBuf> {
        if layers.len() < LAYER_LIMIT && self.is_there() {
            layers.push(self.path.clone());
        }
        layers
    }

    fn make(&self) -> bool {
        let made = make(&self.path).map_err(file_error("make the mount points of steps in", &self.path));
        if let Err(error) = &made {
            tracing::warn!("{error}");
        }
        made.is_ok()
    }
}

/// Makes what is missing of it: an earlier daemon may have been killed meanwhile.
fn make(path: &Path) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(path.join(directory))?;
    }
    for (file, mode) in FILES {
        OpenOptions::new().create(true).append(true).mode(mode).open(path.join(file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_below_the_others_unless_there_are_too_many() {
        let path = std::env::temp_dir().join(format!("berth-base-layer-{}", std::process::id()));
        let base = BaseLayer::new(path.clone());
        let image = vec![PathBuf::from("/top"), PathBuf::from("/bottom")];
        assert_eq!(base.below(image.clone()), [image, vec![path.clone()]].concat());
        assert!(path.join("etc/hosts").is_file() && path.join("proc").is_dir());
        make(&path).expect("made again");
        let most = vec![PathBuf::from("/layer"); LAYER_LIMIT];
        assert_eq!(base.below(most.clone()), most);
        fs::remove_dir_all(&path).expect("removed");
    }

    #[test]
    fn a_step_does_without_one_that_cannot_be_made() {
        let base = BaseLayer::new(PathBuf::from("/proc/no-place-for-directories"));
        let image = vec![PathBuf::from("/top")];
        assert_eq!(base.below(image.clone()), image);
    }

    #[test]
    fn one_that_could_not_be_made_is_made_for_the_next_step() {
        let path = std::env::temp_dir().join(format!("berth-late-base-layer-{}", std::process::id()));
        fs::write(&path, "in its place").expect("a file");
        let base = BaseLayer::new(path.clone());
        assert!(!base.is_there());
        fs::remove_file(&path).expect("removed");
        assert!(base.is_there());
        assert_eq!(base.below(Vec::new()), std::slice::from_ref(&path));
        fs::remove_dir_all(&path).expect("removed");
    }
}
