//! Finds and makes places beneath the container's root, whatever links its files hold.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sys::confined;

/// The kind of node that is made for a missing place.
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
        confined::open(&self.0, path, flags, confined::IN_ROOT)
    }

    /// Opens a place; makes it and the directories above it when missing.
    pub(crate) fn find_or_make(&self, path: &Path, kind: Kind) -> rustix::io::Result<OwnedFd> {
        match self.find(path) {
            Err(Errno::NOENT) => self.make(path, kind),
            other => other,
        }
    }

    /// Whether a place is the root itself: links may lead there.
    pub(crate) fn is(&self, place: &OwnedFd) -> rustix::io::Result<bool> {
        let (root, place) = (rustix::fs::fstat(&self.0)?, rustix::fs::fstat(place)?);
        Ok((root.st_dev, root.st_ino) == (place.st_dev, place.st_ino))
    }

    /// Opens an ordinary directory of the root itself, never through a link; made when missing.
    pub(crate) fn ordinary_directory(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        child_directory(self.0.as_fd(), OsStr::new(name), true)
    }

    /// Makes an empty file in the root itself; what is there already stays as it is.
    pub(crate) fn mark(&self, name: &str) -> rustix::io::Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
        // Without EXCL an image could let this open a device or a FIFO.
        let directory = open_beneath(&self.0, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        match rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o755)) {
            Ok(_) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Walks down name by name and makes what is missing. A link, dangling or not, is followed as the
    /// container would: its target begins at this root.
    fn make(&self, path: &Path, kind: Kind) -> rustix::io::Result<OwnedFd> {
        let mut ahead: VecDeque<OsString> = names(&model::clean(path));
        let mut reached = PathBuf::from("/");
        let mut place = self.find(&reached)?;
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                reached.pop();
                place = self.find(&reached)?;
                continue;
            }
            let found = match open_beneath(&place, Path::new(&name), OFlags::PATH) {
                Err(Errno::NOENT) if ahead.is_empty() && kind == Kind::File => {
                    child_file(place.as_fd(), &name)
                }
                Err(Errno::NOENT) => child_directory(place.as_fd(), &name, true),
                other => other,
            };
            place = match found {
                Err(Errno::LOOP) if links < MOST_LINKS => {
                    links += 1;
                    let target = rustix::fs::readlinkat(&place, &name, Vec::new())?;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    for name in names(&target).into_iter().rev() {
                        ahead.push_front(name);
                    }
                    if target.is_absolute() {
                        reached = PathBuf::from("/");
                    }
                    self.find(&reached)?
                }
                other => {
                    reached.push(name);
                    other?
                }
            };
        }
        Ok(place)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// As many links as the kernel follows, path_resolution(7).
const MOST_LINKS: usize = 40;

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

/// Opens without following any link on the way.
pub(crate) fn open_beneath(directory: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    confined::open(directory, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// Opens a place with O_PATH only; symlinks cannot leave the directory.
pub(crate) fn open_within(directory: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    confined::open(directory, path, OFlags::PATH, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
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

/// The type of what a descriptor names.
pub(crate) fn file_type(place: impl AsFd) -> rustix::io::Result<FileType> {
    let status = rustix::fs::statat(place.as_fd(), c"", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}
