//! Where a container's output is logged.

mod json_file;
mod kubernetes;
mod lines;
mod remote;

use std::io;
use std::time::Duration;

use log_drivers::{Destination, LOCAL_ROTATION};
use model::{ContainerSpec, LogDriver, LogForm, LogSpec};
use shim_protocol::Notice;
use shim_protocol::log::{Reader, Start, Stream, parse_size};
use sys::epoll::Event;

use self::json_file::JsonFile;
use self::kubernetes::KubernetesFile;
use self::remote::Remote;
use crate::event_loop::EventLoop;

/// The time between the compressions of two parts of a file.
const COMPRESSION_INTERVAL: Duration = Duration::from_millis(10);

/// How often the daemon is sent what is wrong with the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A container's log.
pub(crate) struct Log {
    driver: Driver,
    /// The number of lost lines that was reported to the daemon.
    reported_lost: u64,
    /// Whether the daemon was notified that the log is not rotated.
    reported_rotation: bool,
}

enum Driver {
    Nothing,
    File(Box<JsonFile>),
    Kubernetes(Box<KubernetesFile>),
    Remote(Box<Remote>),
}

impl Driver {
    fn remote(mut destination: Destination, spec: &LogSpec) -> io::Result<Self> {
        let buffer = spec.options.get("max-buffer-size").and_then(|size| parse_size(size));
        if let Some(bytes) = buffer.and_then(|size| usize::try_from(size).ok()) {
            destination.delivery.bytes = bytes;
        }
        Ok(Self::Remote(Box::new(Remote::open(destination)?)))
    }
}

impl Log {
    /// No log, as every exec has.
    pub(crate) const fn nothing() -> Self {
        Self { driver: Driver::Nothing, reported_lost: 0, reported_rotation: false }
    }

    /// Opens the log of a specification.
    pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Self> {
        let driver = match &spec.driver {
            LogDriver::None => Driver::Nothing,
            LogDriver::JsonFile if spec.form == LogForm::Kubernetes => {
                Driver::Kubernetes(Box::new(KubernetesFile::open(&spec.path)?))
            }
            LogDriver::JsonFile => Driver::File(Box::new(JsonFile::of(spec, &[])?)),
            LogDriver::Local => Driver::File(Box::new(JsonFile::of(spec, &LOCAL_ROTATION)?)),
            driver => match log_drivers::open(spec, container)? {
                Some(destination) => Driver::remote(destination, spec)?,
                None => {
                    return Err(io::Error::other(format!("no log driver named '{driver}' is registered")));
                }
            },
        };
        Ok(Self { driver, reported_lost: 0, reported_rotation: false })
    }

    /// Whether output goes only to clients.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self.driver, Driver::Nothing)
    }

    /// Logs what is in the scratch buffer.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8], shared: &mut EventLoop) {
        match &mut self.driver {
            Driver::Nothing => return,
            Driver::File(file) => {
                file.write(stream, output);
                if file.is_compressing() {
                    shared.wake_in(COMPRESSION_INTERVAL);
                }
            }
            Driver::Kubernetes(file) => file.write(stream, output),
            Driver::Remote(remote) => remote.write(stream, output, shared),
        }
        if self.lost() != self.reported_lost || self.rotation_failure().is_some() != self.reported_rotation {
            shared.wake_in(REPORT_INTERVAL);
        }
    }

    /// Logs begun lines: the process has ended.
    pub(crate) fn finish(&mut self, shared: &mut EventLoop) {
        match &mut self.driver {
            Driver::Nothing => {}
            Driver::File(file) => file.finish(),
            Driver::Kubernetes(file) => file.finish(),
            Driver::Remote(remote) => remote.finish(shared),
        }
    }

    /// The part of a line that is not logged yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        match &self.driver {
            Driver::Nothing => &[],
            Driver::File(file) => file.pending(stream),
            Driver::Kubernetes(file) => file.pending(stream),
            Driver::Remote(remote) => remote.pending(stream),
        }
    }

    /// Whether every byte ever logged can be read again.
    pub(crate) const fn keeps_everything(&self) -> bool {
        match &self.driver {
            Driver::Nothing | Driver::Kubernetes(_) | Driver::Remote(_) => false,
            Driver::File(file) => file.keeps_everything(),
        }
    }

    /// Reads what is logged; `None` for logs that cannot be read.
    pub(crate) fn replay(&self, start: Start) -> io::Result<Option<Reader>> {
        match &self.driver {
            Driver::Nothing | Driver::Kubernetes(_) | Driver::Remote(_) => Ok(None),
            Driver::File(file) => file.replay(start).map(Some).map_err(io::Error::other),
        }
    }

    /// Opens the file of a log that others rotate again; false for other logs.
    pub(crate) fn reopen(&mut self) -> io::Result<bool> {
        match &mut self.driver {
            Driver::Nothing | Driver::File(_) | Driver::Remote(_) => Ok(false),
            Driver::Kubernetes(file) => file.reopen().map(|()| true),
        }
    }

    /// Lines that were lost so far.
    pub(crate) const fn lost(&self) -> u64 {
        match &self.driver {
            Driver::Nothing => 0,
            Driver::File(file) => file.lost(),
            Driver::Kubernetes(file) => file.lost(),
            Driver::Remote(remote) => remote.dropped(),
        }
    }

    /// Why the log's file is not rotated though it is due.
    pub(crate) fn rotation_failure(&self) -> Option<&str> {
        match &self.driver {
            Driver::Nothing | Driver::Kubernetes(_) | Driver::Remote(_) => None,
            Driver::File(file) => file.rotation_failure(),
        }
    }

    /// The server's socket is ready.
    pub(crate) fn on_event(&mut self, event: Event, shared: &mut EventLoop) {
        if let Driver::Remote(remote) = &mut self.driver {
            remote.on_event(event, shared);
        }
    }

    /// Time has passed. Returns a notice for the daemon, if there is one.
    pub(crate) fn tick(&mut self, shared: &mut EventLoop) -> Option<Notice> {
        match &mut self.driver {
            Driver::Nothing | Driver::Kubernetes(_) => {}
            Driver::File(file) => {
                file.compress();
                if file.is_compressing() {
                    shared.wake_in(COMPRESSION_INTERVAL);
                }
            }
            Driver::Remote(remote) => remote.tick(shared),
        }
        let failure = self.rotation_failure().map(str::to_owned);
        let was_reported = std::mem::replace(&mut self.reported_rotation, failure.is_some());
        if let Some(error) = failure.filter(|_| !was_reported) {
            return Some(Notice::LogNotRotated { error });
        }
        let lines = self.lost();
        let is_news = std::mem::replace(&mut self.reported_lost, lines) != lines;
        is_news.then_some(Notice::LogDropped { lines })
    }

    /// Another daemon has connected: reports to it again.
    pub(crate) fn report_again(&mut self, shared: &mut EventLoop) {
        if std::mem::take(&mut self.reported_rotation) {
            shared.wake_in(REPORT_INTERVAL);
        }
    }

    /// Gives back memory that only much output needs.
    pub(crate) fn give_back(&mut self) {
        if let Driver::File(file) = &mut self.driver {
            file.give_back();
        }
    }

    /// Whether something is still on its way when the process has ended.
    pub(crate) fn is_busy(&self, shared: &EventLoop) -> bool {
        match &self.driver {
            Driver::Nothing | Driver::File(_) | Driver::Kubernetes(_) => false,
            Driver::Remote(remote) => remote.is_busy(shared),
        }
    }
}
