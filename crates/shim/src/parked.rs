//! A shim that waits for its container and has prepared what all containers need.
//!
//! ```text
//! berth-shim --parked[=network] <room for other arguments>
//!   prepares ──→ waits ──the path of a run directory──→ goes on as any shim
//!                  └──the daemon closes the socket, or has ended──→ ends
//! ```

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use runtime::{Hierarchies, Host};
use shim_protocol::{MAXIMUM_PACKET, PARKED, PARKED_WITH_NETWORK, RunDirectory};
use sys::network_namespace;
use sys::process_title::ProcessTitle;

use crate::ahead::Ahead;

/// The additional preparations of a parked shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parking {
    Plain,
    /// A network namespace too.
    WithNetwork,
}

impl Parking {
    /// Reads the first argument; `None` when it is a run directory.
    pub(crate) fn parse(argument: &OsStr) -> Option<Self> {
        match argument.to_str()? {
            PARKED => Some(Self::Plain),
            PARKED_WITH_NETWORK => Some(Self::WithNetwork),
            _ => None,
        }
    }
}

/// Does what a start can do without. What fails here is tried again, and reported, when there is a container.
pub(crate) fn prepare(parking: Parking) -> Ahead {
    let network = match parking {
        Parking::WithNetwork => network_namespace::make().ok(),
        Parking::Plain => None,
    };
    Ahead { network, hierarchies: Hierarchies::find(&Host::default()).ok(), title: ProcessTitle::find().ok() }
}

/// Waits for the run directory; `None` when the daemon needs no more shims.
pub(crate) fn wait(control: &OwnedFd) -> Option<RunDirectory> {
    let (path, _) = sys::seqpacket::receive(control, MAXIMUM_PACKET).ok().flatten()?;
    Some(RunDirectory::at(PathBuf::from(OsString::from_vec(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_is_no_parking() {
        let parse = |text: &str| Parking::parse(OsStr::new(text));
        assert_eq!(parse("--parked"), Some(Parking::Plain));
        assert_eq!(parse("--parked=network"), Some(Parking::WithNetwork));
        assert_eq!(parse("/run/berth/containers/4f"), None);
    }
}
