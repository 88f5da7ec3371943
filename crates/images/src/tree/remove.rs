//! Removes a tree of any depth with few descriptors and a small stack.
//!
//! Containers can nest directories deeper than a path is long, and deeper than a process may hold
//! descriptors: what lies too deep is moved to the top first. Nor is there an end to the names in one
//! directory: they are read some at a time.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

/// How deep a walk goes before it moves what is below to the top.
const DEPTH: usize = 48;
/// How many names of a directory are read at a time.
const NAMES: usize = 4096;

/// Counts what was moved: several trees of one directory may be removed at the same time.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// Removes a file or a whole tree; one that is not there is no error.
///
/// # Errors
/// Whatever the kernel refuses, for example a file that is immutable or a mount point.
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match fs::openat(CWD, parent, flags, Mode::empty()) {
        Ok(parent) => remove_at(&parent, name.as_bytes()).map_err(Into::into),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes what `name` stands for in `parent`.
pub(crate) fn remove_at(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    let parent = parent.as_fd();
    let mut pending = vec![name.to_vec()];
    while let Some(name) = pending.pop() {
        if unlink(parent, &name)? {
            continue;
        }
        let mut stack = vec![Level::open(parent, &name)?];
        loop {
            let depth = stack.len();
            let Some(level) = stack.last_mut() else { break };
            let Some(child) = level.next()? else {
                let done = stack.pop();
                let holder = stack.last().map_or(parent, |level| level.directory.as_fd());
                if let Some(done) = done {
                    ignore_missing(fs::unlinkat(holder, OsStr::from_bytes(&done.name), AtFlags::REMOVEDIR))?;
                }
                continue;
            };
            if unlink(level.directory.as_fd(), child.as_bytes())? {
                continue;
            }
            if depth < DEPTH {
                let opened = Level::open(level.directory.as_fd(), child.as_bytes())?;
                stack.push(opened);
            } else {
                let moved = MOVED.fetch_add(1, Ordering::Relaxed);
                let place = format!(".removing-{}-{moved}", std::process::id()).into_bytes();
                fs::renameat(&level.directory, &child, parent, OsStr::from_bytes(&place))?;
                pending.push(place);
            }
        }
    }
    Ok(())
}

struct Level {
    directory: OwnedFd,
    name: Vec<u8>,
    children: Vec<CString>,
    /// Whether there may be more names than those that were read.
    more: bool,
}

impl Level {
    fn open(parent: impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty())?;
        Ok(Self { directory, name: name.to_vec(), children: Vec::new(), more: true })
    }

    /// A name that is still there; those that were given before are gone.
    fn next(&mut self) -> Result<Option<CString>, Errno> {
        if self.children.is_empty() && self.more {
            self.more = false;
            for child in Dir::read_from(&self.directory)? {
                let child = child?;
                if matches!(child.file_name().to_bytes(), b"." | b"..") {
                    continue;
                }
                self.children.push(child.file_name().to_owned());
                if self.children.len() == NAMES {
                    self.more = true;
                    break;
                }
            }
        }
        Ok(self.children.pop())
    }
}

/// Unlinks a non-directory; false when it is a directory.
fn unlink(parent: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    match fs::unlinkat(parent, OsStr::from_bytes(name), AtFlags::empty()) {
        Err(Errno::ISDIR) => Ok(false),
        other => ignore_missing(other).map(|()| true),
    }
}

fn ignore_missing(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_many_names() {
        let top = std::env::temp_dir().join(format!("berth-remove-many-{}", std::process::id()));
        std::fs::create_dir(&top).expect("a new directory");
        for number in 0..2 * NAMES + 5 {
            std::fs::write(top.join(number.to_string()), "").expect("a file");
        }
        remove(&top).expect("removed");
        assert!(!top.exists());
    }

    #[test]
    fn trees_of_one_directory_are_removed_side_by_side() {
        let parent = std::env::temp_dir().join(format!("berth-remove-beside-{}", std::process::id()));
        std::fs::create_dir(&parent).expect("a new directory");
        let tops: Vec<_> = (0..4).map(|number| parent.join(number.to_string())).collect();
        for top in &tops {
            std::fs::create_dir_all(top.join("d/".repeat(300))).expect("directories");
        }
        std::thread::scope(|scope| {
            for removing in tops.iter().map(|top| scope.spawn(|| remove(top))).collect::<Vec<_>>() {
                removing.join().expect("its end").expect("removed");
            }
        });
        std::fs::remove_dir(&parent).expect("nothing is left in it");
    }

    #[test]
    fn a_tree_deeper_than_a_path_goes() {
        let top = std::env::temp_dir().join(format!("berth-remove-{}", std::process::id()));
        std::fs::create_dir(&top).expect("a new directory");
        let mut directory = fs::open(&top, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("it");
        let name = "d".repeat(100);
        for _ in 0..200 {
            fs::mkdirat(&directory, &name, Mode::RWXU).expect("a directory");
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            directory = fs::openat(&directory, &name, flags, Mode::empty()).expect("it");
        }
        fs::symlinkat("/etc", &directory, "link").expect("a link");
        remove(&top).expect("removed");
        assert!(!top.exists());
        assert!(Path::new("/etc").is_dir());
        remove(&top).expect("nothing to do");
    }
}
