//! Finds a place in an image's merged tree as a process in it would: links lead within the image.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::FileType;

use crate::tree::{Form, Stack, is_directory, kind};

/// As many links as the kernel follows, path_resolution(7).
const MOST_LINKS: usize = 40;

/// The node of an image at a place.
pub(crate) enum Place {
    Nothing,
    Directory(Stack),
    /// A file, a device, or whatever is no directory.
    Other,
}

/// Whether an image, merged of its layers (topmost first), has anything but a directory at a place. Links are
/// followed, none out of the image.
///
/// # Errors
/// When a layer cannot be read.
pub fn is_occupied(lower: &[PathBuf], place: &Path) -> io::Result<bool> {
    Ok(matches!(find(lower, place)?, Place::Other))
}

/// Whether an image, merged of its layers (topmost first), has anything at a place.
///
/// # Errors
/// When a layer cannot be read.
pub fn has(lower: &[PathBuf], place: &Path) -> io::Result<bool> {
    Ok(!matches!(find(lower, place)?, Place::Nothing))
}

/// Finds what an image has at a place.
pub(crate) fn find(lower: &[PathBuf], place: &Path) -> io::Result<Place> {
    let mut ahead = names(place);
    let mut above = vec![Stack::open(lower)?];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            above.truncate(above.len().saturating_sub(1).max(1));
            continue;
        }
        let Some(here) = above.last() else { return Ok(Place::Nothing) };
        let Some(found) = here.find(name.as_bytes())? else { return Ok(Place::Nothing) };
        if is_directory(&found.stat) {
            let child = here.child(name.as_bytes(), found.layer, Form::Merged)?;
            above.push(child);
        } else if kind(&found.stat) == FileType::Symlink {
            links += 1;
            if links > MOST_LINKS {
                return Ok(Place::Nothing);
            }
            let target =
                rustix::fs::readlinkat(&here.0[found.layer], OsStr::from_bytes(name.as_bytes()), [])?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                above.truncate(1);
            }
            names(&target).into_iter().rev().for_each(|name| ahead.push_front(name));
        } else {
            return Ok(if ahead.is_empty() { Place::Other } else { Place::Nothing });
        }
    }
    Ok(above.pop().filter(|stack| !stack.is_empty()).map_or(Place::Nothing, Place::Directory))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_within_the_image_and_whiteouts_hide() {
        let root = std::env::temp_dir().join(format!("berth-merged-{}", std::process::id()));
        let (top, bottom) = (root.join("top"), root.join("bottom"));
        std::fs::create_dir_all(bottom.join("etc/inner")).expect("directories");
        std::fs::create_dir_all(bottom.join("gone")).expect("a directory");
        std::fs::create_dir_all(top.join("etc")).expect("a directory");
        std::fs::write(bottom.join("etc/file"), "").expect("a file");
        for (target, name) in [
            ("/etc", "absolute"),
            ("../../etc", "climbing"),
            ("/", "root"),
            ("round", "round"),
            ("etc/file", "file"),
        ] {
            symlink(target, top.join(name)).expect("a link");
        }
        let whiteout = rustix::fs::makedev(0, 0);
        let mode = rustix::fs::Mode::empty();
        rustix::fs::mknodat(rustix::fs::CWD, top.join("gone"), FileType::CharacterDevice, mode, whiteout)
            .expect("a whiteout");
        let lower = [top, bottom];
        let find = |place: &str| find(&lower, Path::new(place)).expect("found");
        for place in ["/etc", "/absolute", "/climbing/inner", "/root/etc/../etc/inner", "/"] {
            assert!(matches!(find(place), Place::Directory(_)), "{place}");
        }
        for place in ["/gone", "/round", "/nothing/etc", "/etc/file/below", "/root/var/lib"] {
            assert!(matches!(find(place), Place::Nothing), "{place}");
        }
        for place in ["/etc/file", "/file", "/absolute/file"] {
            assert!(is_occupied(&lower, Path::new(place)).expect("found"), "{place}");
        }
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
