//! Takes out of a container's layer what only served to mount something on.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use crate::error::{Error, file_error};

/// Removes empty files and directories at `points` that no layer below has, and directories that
/// are there only because of them.
pub(crate) fn prune(upper: &Path, lower: &[PathBuf], points: &[PathBuf]) -> Result<(), Error> {
    let mut points: Vec<&Path> =
        points.iter().map(|point| point.strip_prefix("/").unwrap_or(point)).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    for point in points {
        let mut place = Some(point);
        while let Some(path) = place.filter(|path| !path.as_os_str().is_empty()) {
            if !remove_if_unneeded(upper, lower, path)? {
                break;
            }
            place = path.parent();
        }
    }
    Ok(())
}

/// Removes an empty thing that no layer below has, or a directory that is below as it is here.
fn remove_if_unneeded(upper: &Path, lower: &[PathBuf], path: &Path) -> Result<bool, Error> {
    let here = upper.join(path);
    let Ok(found) = fs::symlink_metadata(&here) else { return Ok(true) };
    let below = lower.iter().find_map(|layer| fs::symlink_metadata(layer.join(path)).ok());
    let is_unneeded = match &below {
        None => found.is_dir() || (found.is_file() && found.len() == 0),
        Some(below) => found.is_dir() && is_same_directory(&found, below),
    };
    if !is_unneeded {
        return Ok(false);
    }
    let removed = if found.is_dir() { fs::remove_dir(&here) } else { fs::remove_file(&here) };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(file_error("remove the mount point", &here)(error)),
    }
}

fn is_same_directory(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.mode(), one.uid(), one.gid()) == (other.mode(), other.uid(), other.gid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_served_for_mounting_goes() {
        let root = std::env::temp_dir().join(format!("berth-prune-{}", std::process::id()));
        let (upper, lower) = (root.join("upper"), root.join("lower"));
        for directory in ["upper/proc", "upper/etc", "upper/var/kept", "lower/etc"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        fs::write(upper.join("etc/hosts"), "").expect("a file");
        fs::write(upper.join("etc/resolv.conf"), "changed").expect("a file");
        let points = ["/proc", "/etc/hosts", "/etc/resolv.conf", "/var"].map(PathBuf::from);
        prune(&upper, &[lower], &points).expect("pruned");
        assert!(!upper.join("proc").exists() && !upper.join("etc/hosts").exists());
        assert!(upper.join("etc/resolv.conf").exists() && upper.join("var/kept").exists());
        fs::remove_dir_all(&root).expect("removed");
    }
}
