//! A terminal in the container's own /dev/pts.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::StartError;
use crate::error::Doing;
use crate::root::place::{Root, open_beneath};

/// Both ends.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The parent's.
    pub(crate) master: OwnedFd,
    /// The process's.
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    /// Opens one in a devpts by its mount; `size` is rows and columns, zero is unset.
    pub(crate) fn open(devpts: impl AsFd, size: (u16, u16)) -> Result<Self, StartError> {
        let act = "opening a terminal";
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let master = open_beneath(devpts, Path::new("ptmx"), flags).doing(act)?;
        Self::from_master(master, size).doing(act)
    }

    /// Opens one in what lies at /dev/pts of a running container.
    pub(crate) fn open_in(root: &Root, size: (u16, u16)) -> Result<Self, StartError> {
        let act = "opening a terminal";
        let directory = root.find(Path::new("/dev/pts")).doing(act)?;
        Self::open(directory, size)
    }

    fn from_master(master: OwnedFd, (rows, columns): (u16, u16)) -> rustix::io::Result<Self> {
        // Major 5, minor 2 is the multiplexer of every devpts; whatever else lies there is no terminal.
        let status = rustix::fs::statat(&master, c"", AtFlags::EMPTY_PATH)?;
        let is_multiplexer = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice
            && status.st_rdev == rustix::fs::makedev(5, 2);
        if !is_multiplexer {
            return Err(Errno::NODEV);
        }
        rustix::pty::unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        if (rows, columns) != (0, 0) {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&master, size)?;
        }
        Ok(Self { master, slave })
    }
}
