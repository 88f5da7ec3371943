//! A small file system of its own, to be filled: beneath the engine's images and containers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::wait;

/// An ext4 file system in a file, mounted for as long as this value lives.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes one of `megabytes` in the new file `image` and mounts it on a directory.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn mount(image: &Path, megabytes: u64, target: &Path) -> Self {
        let size = format!("{megabytes}M");
        let image = image.display().to_string();
        let at = target.display().to_string();
        for command in [
            vec!["truncate", "-s", &size, &image],
            vec!["mkfs.ext4", "-q", "-m", "0", &image],
            vec!["mount", "-o", "loop", &image, &at],
        ] {
            let output =
                Command::new(command[0]).args(&command[1..]).output().expect("util-linux and e2fsprogs");
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Self(target.to_owned())
    }

    /// Bytes and inodes in use.
    ///
    /// # Panics
    /// When the file system is gone.
    #[must_use]
    pub fn used(&self) -> (u64, u64) {
        let found = rustix::fs::statvfs(&self.0).expect("the small disk");
        ((found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree)
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// When the file system is gone.
    #[must_use]
    pub fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.0).expect("the small disk");
        found.f_bfree * found.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = || Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success());
        if std::thread::panicking() {
            let _ = unmount();
        } else {
            // A process with files there may be about to end.
            wait::until("the small disk's end", || unmount().then_some(()));
        }
    }
}
