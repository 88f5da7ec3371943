//! Reports kills for memory: an eventfd on v1, a watched file on v2.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};

use super::{Cgroup, file};
use crate::CgroupError;

/// Reports that the kernel has killed a process of the container for memory.
#[derive(Debug)]
pub struct OutOfMemoryNotice {
    descriptor: OwnedFd,
    counter: Option<PathBuf>,
    seen: u64,
}

impl Cgroup {
    /// Opens the notice of kills for memory. On a host without the memory controller it never reports one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn out_of_memory_notice(&self) -> Result<OutOfMemoryNotice, CgroupError> {
        let fail = |source: rustix::io::Errno| CgroupError::new("watching for kills for memory", source);
        let (descriptor, counter) = if let Some(directory) = self.legacy("memory") {
            (legacy(directory)?, Some(directory.join("memory.oom_control")))
        } else {
            let events = self.unified().map(|directory| directory.join("memory.events"));
            match events.filter(|events| events.exists()) {
                Some(events) => (unified(&events).map_err(fail)?, Some(events)),
                None => (silent().map_err(fail)?, None),
            }
        };
        let mut notice = OutOfMemoryNotice { descriptor, counter, seen: 0 };
        notice.seen = notice.count();
        Ok(notice)
    }
}

fn silent() -> rustix::io::Result<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
}

/// Registers an eventfd: `<eventfd> <memory.oom_control>` to cgroup.event_control.
fn legacy(directory: &Path) -> Result<OwnedFd, CgroupError> {
    let path = directory.join("memory.oom_control");
    let fail = |source: rustix::io::Errno| CgroupError::new(format!("open {}", path.display()), source);
    let control = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
    let event = silent().map_err(fail)?;
    let registration = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    file::write(directory, "cgroup.event_control", &registration)?;
    Ok(event)
}

fn unified(events: &Path) -> rustix::io::Result<OwnedFd> {
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watcher, events, WatchFlags::MODIFY)?;
    Ok(watcher)
}

impl OutOfMemoryNotice {
    /// How many kills there were since the last call; call it when the descriptor is readable,
    /// and once more after the container's end, before its cgroup is removed.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub fn take(&mut self) -> Result<u64, CgroupError> {
        let mut space = [0; 4096];
        loop {
            match rustix::io::read(&self.descriptor, &mut space[..]) {
                // An eventfd gives its whole count at once, an inotify what fits.
                Ok(length) if length > 8 => {}
                Ok(_) | Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(CgroupError::new("reading the notice of kills", source)),
            }
        }
        let count = self.count();
        let new = count.saturating_sub(self.seen);
        self.seen = self.seen.max(count);
        Ok(new)
    }

    /// A cgroup that is gone counts no more.
    fn count(&self) -> u64 {
        let text = self.counter.as_ref().and_then(|counter| std::fs::read_to_string(counter).ok());
        text.and_then(|text| file::flag(&text, "oom_kill")).unwrap_or(0)
    }
}

impl AsFd for OutOfMemoryNotice {
    /// Readable when there may be news.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
