//! Where a container's output is logged.

mod json_file;
mod lines;
mod remote;

use std::io;
use std::time::Duration;

use model::{ContainerSpec, LogSpec};
use shim_protocol::log::{Reader, Start, Stream};
use sys::epoll::Event;

use self::json_file::JsonFile;
use self::remote::Remote;
use crate::surroundings::Surroundings;

/// How often the daemon is told of lost lines.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A container's log.
pub(crate) struct Log {
    driver: Driver,
    /// Of how many lost lines the daemon knows.
    told: u64,
}

enum Driver {
    Nothing,
    File(Box<JsonFile>),
    Remote(Box<Remote>),
}

impl Log {
    /// No log, as every exec has.
    pub(crate) const fn nothing() -> Self {
        Self { driver: Driver::Nothing, told: 0 }
    }

    /// Opens the log that a specification asks for.
    pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Self> {
        let driver = match spec.driver.as_str() {
            "none" => Driver::Nothing,
            "json-file" => {
                let mut attributes = spec.selected.clone();
                if let Some(tag) = spec.attributes.get("tag") {
                    attributes.insert("tag".to_owned(), tag.clone());
                }
                Driver::File(Box::new(JsonFile::open(spec.path.clone(), &spec.options, &attributes)?))
            }
            "syslog" | "journald" | "gelf" => Driver::Remote(Box::new(Remote::open(spec, container)?)),
            other => return Err(io::Error::other(format!("no log driver named '{other}' is registered"))),
        };
        Ok(Self { driver, told: 0 })
    }

    /// Whether output goes nowhere but to clients.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self.driver, Driver::Nothing)
    }

    /// Logs what is in the scratch buffer.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8], shared: &mut Surroundings) {
        match &mut self.driver {
            Driver::Nothing => return,
            Driver::File(file) => file.write(stream, output),
            Driver::Remote(remote) => remote.write(stream, output, shared),
        }
        if self.lost() != self.told {
            shared.wake_in(TELL_AGAIN);
        }
    }

    /// Logs begun lines: the process has ended.
    pub(crate) fn finish(&mut self, shared: &mut Surroundings) {
        match &mut self.driver {
            Driver::Nothing => {}
            Driver::File(file) => file.finish(),
            Driver::Remote(remote) => remote.finish(shared),
        }
    }

    /// What of a line is not logged yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        match &self.driver {
            Driver::Nothing => &[],
            Driver::File(file) => file.pending(stream),
            Driver::Remote(remote) => remote.pending(stream),
        }
    }

    /// Whether every byte ever logged can be read again.
    pub(crate) const fn keeps_everything(&self) -> bool {
        match &self.driver {
            Driver::Nothing | Driver::Remote(_) => false,
            Driver::File(file) => file.keeps_everything(),
        }
    }

    /// Reads what is logged; `None` for logs that cannot be read.
    pub(crate) fn replay(&self, start: Start) -> io::Result<Option<Reader>> {
        match &self.driver {
            Driver::Nothing | Driver::Remote(_) => Ok(None),
            Driver::File(file) => file.replay(start).map(Some).map_err(io::Error::other),
        }
    }

    /// Lines that were lost so far.
    pub(crate) const fn lost(&self) -> u64 {
        match &self.driver {
            Driver::Nothing => 0,
            Driver::File(file) => file.lost(),
            Driver::Remote(remote) => remote.dropped(),
        }
    }

    /// The server's socket is ready.
    pub(crate) fn on_event(&mut self, event: Event, shared: &mut Surroundings) {
        if let Driver::Remote(remote) = &mut self.driver {
            remote.on_event(event, shared);
        }
    }

    /// Time has passed. Returns the number of lost lines when the daemon should be told.
    pub(crate) fn tick(&mut self, shared: &mut Surroundings) -> Option<u64> {
        if let Driver::Remote(remote) = &mut self.driver {
            remote.tick(shared);
        }
        let lost = self.lost();
        (std::mem::replace(&mut self.told, lost) != lost).then_some(lost)
    }

    /// Gives back memory that only much output needs.
    pub(crate) fn give_back(&mut self) {
        if let Driver::File(file) = &mut self.driver {
            file.give_back();
        }
    }

    /// Whether something is still on its way when the process has ended.
    pub(crate) fn is_busy(&self, shared: &Surroundings) -> bool {
        match &self.driver {
            Driver::Nothing | Driver::File(_) => false,
            Driver::Remote(remote) => remote.is_busy(shared),
        }
    }
}
