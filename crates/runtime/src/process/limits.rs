//! Resource limits, setrlimit(2).

use model::ResourceLimit;
use rustix::process::{Resource, Rlimit};

use crate::error::Doing;
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
    limits.iter().try_for_each(|limit| {
        let (number, resource) = find(limit)?;
        apply(number, resource, Rlimit { current: value(limit.soft), maximum: value(limit.hard) })
    })
}

/// Raises the hard limits of the caller where [`set`] will need it: within a user namespace that is not
/// permitted.
pub(crate) fn allow(limits: &[ResourceLimit]) -> Result<(), StartError> {
    limits.iter().try_for_each(|limit| {
        let (number, resource) = find(limit)?;
        let present = rustix::process::getrlimit(resource);
        let is_above = present.maximum.is_some_and(|maximum| limit.hard > maximum);
        match is_above {
            true => apply(number, resource, Rlimit { maximum: value(limit.hard), ..present }),
            false => Ok(()),
        }
    })
}

fn find(limit: &ResourceLimit) -> Result<(u32, Resource), StartError> {
    let known = RESOURCES.iter().find(|(name, ..)| *name == limit.name);
    known
        .map(|(_, number, resource)| (*number, *resource))
        .ok_or_else(|| StartError::words(FailureKind::System, format!("Invalid ulimit type: {}", limit.name)))
}

fn value(value: u64) -> Option<u64> {
    (value != u64::MAX).then_some(value)
}

fn apply(number: u32, resource: Resource, limit: Rlimit) -> Result<(), StartError> {
    rustix::process::setrlimit(resource, limit).doing_with(|| format!("error setting rlimit type {number}"))
}
