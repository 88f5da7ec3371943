//! Finds and makes places beneath the container's root, whatever links its files hold.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// The container's root.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Takes the descriptor of a root directory.
    pub(crate) const fn new(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// Opens a place for its name only (`O_PATH`). Links lead at most to the root.
    pub(crate) fn find(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Opens a file beneath the root.
    pub(crate) fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        open(&self.0, path, flags, resolve)
    }

    /// Opens a place; makes it and the directories above it when missing.
    pub(crate) fn find_or_make(&self, path: &Path, kind: Kind) -> rustix::io::Result<OwnedFd> {
        match self.find(path) {
            Err(Errno::NOENT) => self.make(path, kind),
            other => other,
        }
    }

    /// Opens an ordinary directory of the root itself, never through a link; made when missing.
    pub(crate) fn ordinary_directory(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        child_directory(self.0.as_fd(), OsStr::new(name), true)
    }

    fn make(&self, path: &Path, kind: Kind) -> rustix::io::Result<OwnedFd> {
        let path = plain(path);
        let Some(name) = path.file_name() else { return self.find(Path::new("/")) };
        let mut reached = PathBuf::from("/");
        let mut directory = self.find(&reached)?;
        for component in path.parent().into_iter().flat_map(Path::components) {
            let Component::Normal(component) = component else { continue };
            reached.push(component);
            directory = match self.open(&reached, OFlags::PATH | OFlags::DIRECTORY) {
                Err(Errno::NOENT) => child_directory(directory.as_fd(), component, true)?,
                other => other?,
            };
        }
        match kind {
            Kind::Directory => child_directory(directory.as_fd(), name, true),
            Kind::File => child_file(directory.as_fd(), name),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens without following any link on the way.
pub(crate) fn open_beneath(directory: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open(directory, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// openat2(2) gives EAGAIN when a rename elsewhere made it unsure.
fn open(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut attempts = 0;
    loop {
        let flags = flags | OFlags::CLOEXEC;
        match rustix::fs::openat2(directory.as_fd(), path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if attempts < 128 => attempts += 1,
            other => return other,
        }
    }
}

fn child_directory(parent: BorrowedFd<'_>, name: &OsStr, make: bool) -> rustix::io::Result<OwnedFd> {
    match open_beneath(parent, Path::new(name), OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT) if make => match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => child_directory(parent, name, false),
            Err(error) => Err(error),
        },
        other => other,
    }
}

fn child_file(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
    open_beneath(parent, Path::new(name), OFlags::PATH)
}

/// Takes `.` and `..` out of an absolute path by words alone.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut result = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    result
}

/// The type of what a descriptor names.
pub(crate) fn file_type(place: impl AsFd) -> rustix::io::Result<FileType> {
    let status = rustix::fs::statat(place.as_fd(), c"", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_climb_above_the_root() {
        for (path, expected) in
            [("/a/./b/../c", "/a/c"), ("/../../etc", "/etc"), ("a//b/", "/a/b"), ("/..", "/"), ("", "/")]
        {
            assert_eq!(plain(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
