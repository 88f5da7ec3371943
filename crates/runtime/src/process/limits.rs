//! Resource limits, setrlimit(2).

use model::ResourceLimit;
use rustix::process::{Resource, Rlimit};

use crate::{FailureKind, StartError};

/// Names as clients send them, the kernel's numbers and rustix's values.
const RESOURCES: [(&str, u32, Resource); 16] = [
    ("cpu", 0, Resource::Cpu),
    ("fsize", 1, Resource::Fsize),
    ("data", 2, Resource::Data),
    ("stack", 3, Resource::Stack),
    ("core", 4, Resource::Core),
    ("rss", 5, Resource::Rss),
    ("nproc", 6, Resource::Nproc),
    ("nofile", 7, Resource::Nofile),
    ("memlock", 8, Resource::Memlock),
    ("as", 9, Resource::As),
    ("locks", 10, Resource::Locks),
    ("sigpending", 11, Resource::Sigpending),
    ("msgqueue", 12, Resource::Msgqueue),
    ("nice", 13, Resource::Nice),
    ("rtprio", 14, Resource::Rtprio),
    ("rttime", 15, Resource::Rttime),
];

/// Sets the caller's limits.
pub(crate) fn set(limits: &[ResourceLimit]) -> Result<(), StartError> {
    for limit in limits {
        let Some((_, number, resource)) = RESOURCES.iter().find(|(name, ..)| *name == limit.name) else {
            let message = format!("Invalid ulimit type: {}", limit.name);
            return Err(StartError::words(FailureKind::System, message));
        };
        let value = |value: u64| (value != u64::MAX).then_some(value);
        let new = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
        if let Err(error) = rustix::process::setrlimit(*resource, new) {
            return Err(StartError::system(format!("error setting rlimit type {number}"), error));
        }
    }
    Ok(())
}
