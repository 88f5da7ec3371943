//! Reports kills for memory: an eventfd on v1, a watched file on v2.
//!
//! systemd removes a scope as soon as its last process has ended, and with it the file that counts the kill. The slice above
//! it counts the kills of all that is in it, for as long as it is there itself: what it has counted more since the scope's own
//! file was read last was killed there.

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
    /// The same file of the slice that a scope is in.
    slice: Option<PathBuf>,
    seen_in_slice: u64,
}

/// The file of version 2 that counts kills.
const EVENTS: &str = "memory.events";
/// How the name of a scope of systemd ends.
const SCOPE: &str = "scope";

impl Cgroup {
    /// Opens the notice of kills for memory. On a host without the memory controller it never reports one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn out_of_memory_notice(&self) -> Result<OutOfMemoryNotice, CgroupError> {
        let fail = |source: rustix::io::Errno| CgroupError::new("watching for kills for memory", source);
        let mut slice = None;
        let (descriptor, counter) = if let Some(directory) = self.legacy("memory") {
            (legacy(directory)?, Some(directory.join("memory.oom_control")))
        } else {
            let events = self.unified().map(|directory| directory.join(EVENTS));
            match events.filter(|events| events.exists()) {
                Some(events) => {
                    slice = self.unified().and_then(events_of_slice);
                    let watched = std::iter::once(&events).chain(&slice);
                    (unified(watched).map_err(fail)?, Some(events))
                }
                None => (silent().map_err(fail)?, None),
            }
        };
        let mut notice = OutOfMemoryNotice { descriptor, counter, seen: 0, slice, seen_in_slice: 0 };
        notice.new_kills();
        Ok(notice)
    }
}

/// The file of the slice that the scope of this directory is in; `None` for a directory of the engine's own, which stays
/// until the engine removes it.
fn events_of_slice(directory: &Path) -> Option<PathBuf> {
    let is_scope = directory.extension().is_some_and(|extension| extension == SCOPE);
    let events = directory.parent()?.join(EVENTS);
    (is_scope && events.exists()).then_some(events)
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

fn unified<'e>(events: impl IntoIterator<Item = &'e PathBuf>) -> rustix::io::Result<OwnedFd> {
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    for events in events {
        inotify::add_watch(&watcher, events, WatchFlags::MODIFY)?;
    }
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
        Ok(self.new_kills())
    }

    /// How many kills there were since the last call.
    fn new_kills(&mut self) -> u64 {
        // The slice first: a kill between both is then counted here, and not taken for one of another scope.
        let in_slice = self.slice.as_deref().and_then(count).unwrap_or(self.seen_in_slice);
        let (before, now) = match self.counter.as_deref().and_then(count) {
            Some(count) => (std::mem::replace(&mut self.seen, count), count),
            None => (self.seen_in_slice, in_slice),
        };
        self.seen_in_slice = in_slice;
        now.saturating_sub(before)
    }
}

/// The kills that a file counts; `None` of one that is gone.
fn count(counter: &Path) -> Option<u64> {
    file::flag(&std::fs::read_to_string(counter).ok()?, "oom_kill")
}

impl AsFd for OutOfMemoryNotice {
    /// Readable when there may be news.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
