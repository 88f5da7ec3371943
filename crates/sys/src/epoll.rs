//! Waits for many descriptors at once: epoll(7), level-triggered.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// How many events one wait returns at most.
const BATCH: usize = 64;

/// What to wait for on one descriptor. A hang-up or an error is always reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// There is something to read, or the end of it.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
}

impl Interest {
    /// Only reading.
    pub const READ: Self = Self { read: true, write: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// What happened on one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// The number given when the descriptor was added.
    pub token: u64,
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// Both directions are closed, or the descriptor is broken.
    pub hung_up: bool,
}

/// A set of descriptors to wait for.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// Makes an empty set.
    ///
    /// # Errors
    /// When the kernel has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    /// When it cannot be waited for (a plain file) or is in the set already.
    pub fn add(&self, descriptor: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what is waited for.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn modify(&self, descriptor: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Takes a descriptor out of the set; needed where a copy of it stays open elsewhere.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn remove(&self, descriptor: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Waits until something happens or the time is over, and puts what happened into `events`.
    /// A signal ends the wait with no event.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let timeout = timeout.map(|duration| Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(duration.subsec_nanos()),
        });
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        let (happened, _) = match epoll::wait(&self.epoll, &mut space[..], timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other?,
        };
        events.extend(happened.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: flags.contains(epoll::EventFlags::IN),
                writable: flags.contains(epoll::EventFlags::OUT),
                hung_up: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_becomes_readable_and_hangs_up() {
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let poller = Poller::new().expect("a set");
        poller.add(&read, 7, Interest::READ).expect("add");
        let mut events = Vec::new();
        poller.wait(&mut events, Some(Duration::ZERO)).expect("wait");
        assert!(events.is_empty());
        rustix::io::write(&write, b"x").expect("write");
        poller.wait(&mut events, None).expect("wait");
        assert!(events.len() == 1 && events[0].token == 7 && events[0].readable && !events[0].hung_up);
        poller.modify(&read, 8, Interest::default()).expect("modify");
        drop(write);
        poller.wait(&mut events, None).expect("wait");
        assert!(events.len() == 1 && events[0].token == 8 && !events[0].readable && events[0].hung_up);
        poller.remove(&read).expect("remove");
    }
}
