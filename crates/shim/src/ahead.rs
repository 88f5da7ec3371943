//! The state that a parked shim prepares before its container is known.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use runtime::Hierarchies;
use shim_protocol::RunDirectory;
use sys::process_title::ProcessTitle;

/// The state that a parked shim has prepared or read before its container is known.
#[derive(Default)]
pub(crate) struct Ahead {
    /// A network namespace that nothing is in.
    pub(crate) network: Option<OwnedFd>,
    /// The host's cgroup hierarchies.
    pub(crate) hierarchies: Option<Hierarchies>,
    /// Where the arguments are that name the shim's purpose.
    pub(crate) title: Option<ProcessTitle>,
}

impl Ahead {
    /// Shows what the shim serves, where its first arguments did not.
    pub(crate) fn show(&self, directory: &RunDirectory) {
        if let Some(title) = self.title {
            // Only people read it.
            let _ = title.replace(&[OsStr::new("berth-shim"), directory.path().as_os_str(), OsStr::new("0")]);
        }
    }
}
