//! A file system that does not respond: every access waits until it is closed, as with a server that is gone.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::volumes::HostDirectory;
use crate::wait;

/// The opcodes of linux/fuse.h by which the kernel looks up a file, and its first one.
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPENDIR: u32 = 27;
const STATX: u32 = 52;
const INIT: u32 = 26;

/// The smallest room that the kernel wants for a request.
const ROOM: usize = 1 << 17;

/// It, mounted on a directory of its own. Dropped, it is closed first: all that wait get an error.
#[derive(Debug)]
pub struct SilentMount {
    device: File,
    directory: HostDirectory,
}

impl SilentMount {
    /// Mounts one.
    ///
    /// # Panics
    /// When the host has no FUSE.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::over(HostDirectory::new(name))
    }

    /// Mounts one on a directory that is there.
    ///
    /// # Panics
    /// When the host has no FUSE.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self::over(HostDirectory(directory))
    }

    fn over(directory: HostDirectory) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let status = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other"])
            .arg("berth-silent")
            .arg(&directory.0)
            .stdin(Stdio::from(device.try_clone().expect("a descriptor")))
            .status();
        assert!(status.expect("mount").success(), "mounting FUSE");
        let mut mount = Self { device, directory };
        mount.greet();
        mount
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory.0
    }

    /// Unmounts it. Waiting accesses keep waiting.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn detach(&self) {
        rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH).expect("its place");
    }

    /// The kernel sends nothing else before this is answered.
    fn greet(&mut self) {
        let (opcode, unique) = self.request().expect("the kernel's first request");
        assert_eq!(opcode, INIT);
        // Of version 7.31: the header, then the version, read-ahead, flags, limits, and what is not used.
        let mut answer = Vec::new();
        answer.extend_from_slice(&80_u32.to_ne_bytes());
        answer.extend_from_slice(&0_u32.to_ne_bytes());
        answer.extend_from_slice(&unique.to_ne_bytes());
        for word in [7_u32, 31, 0, 0, 0, 4096] {
            answer.extend_from_slice(&word.to_ne_bytes());
        }
        answer.resize(80, 0);
        self.device.write_all(&answer).expect("the answer");
    }

    /// Waits until there are so many accesses to its root; they keep waiting.
    ///
    /// # Panics
    /// When they do not come.
    pub fn await_looks(&mut self, count: usize) {
        for number in 0..count {
            loop {
                let request = self.request();
                let (opcode, _) = request.unwrap_or_else(|| panic!("{number} of {count} have come"));
                if matches!(opcode, LOOKUP | GETATTR | OPENDIR | STATX) {
                    break;
                }
            }
        }
    }

    /// The next request's opcode and number; nothing when none comes.
    fn request(&mut self) -> Option<(u32, u64)> {
        let end = Instant::now() + wait::TIMEOUT;
        let pause = Timespec { tv_sec: 1, tv_nsec: 0 };
        while rustix::event::poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&pause)) != Ok(1) {
            if Instant::now() + Duration::from_secs(1) > end {
                return None;
            }
        }
        let mut bytes = vec![0; ROOM];
        let length = self.device.read(&mut bytes).expect("a request");
        assert!(length >= 40, "a request has a header");
        let opcode = u32::from_ne_bytes(bytes[4..8].try_into().expect("four bytes"));
        Some((opcode, u64::from_ne_bytes(bytes[8..16].try_into().expect("eight bytes"))))
    }
}
