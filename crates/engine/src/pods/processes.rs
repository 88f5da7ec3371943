//! The processes of a container of a pod: their users, and their open files.

use std::fs;
use std::fs::File;
use std::path::Path;

use model::{AskedIdentity, Identity};
use shim_protocol::{Answer, Request};
use sys::account_file;

use super::service::Pods;
use crate::container::Record;
use crate::error::Error;

/// Counts of the open files of a container's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenFiles {
    /// Processes.
    pub processes: u64,
    /// Their descriptors.
    pub descriptors: u64,
    /// Those of them that are sockets.
    pub sockets: u64,
}

impl Pods {
    /// Counts what the processes of a container or a sandbox have open; nothing when it does not run.
    ///
    /// # Errors
    /// Unknown id, or a shim that does not answer.
    pub async fn open_files(&self, id: &model::ContainerId) -> Result<OpenFiles, Error> {
        let Some(shim) = self.realm.directory.find(id.as_str())?.shim() else {
            return Ok(OpenFiles::default());
        };
        let pids = match shim.request(Request::Processes, None).await? {
            Answer::Processes(pids) => pids,
            _ => Vec::new(),
        };
        let count = move || {
            let mut open = OpenFiles::default();
            for pid in pids {
                open.processes += 1;
                // One that has ended meanwhile has nothing open.
                for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
                    open.descriptors += 1;
                    let target = fs::read_link(entry.path()).unwrap_or_default();
                    open.sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
                }
            }
            open
        };
        crate::outcome::joined(tokio::task::spawn_blocking(count).await)
    }

    /// The user of a running container's first process at its start, by the container's own files; `None` for a
    /// container that does not run.
    #[must_use]
    pub fn identity(&self, record: &Record) -> Option<Identity> {
        let process = record.phase.process()?;
        let root = File::open(format!("/proc/{}/root", process.pid)).ok()?;
        // It may have ended, and another process have its number.
        if !sys::process::is_alive(process.pid, process.start_time) {
            return None;
        }
        let read = |path: &str| account_file::read(&root, Path::new(path)).ok();
        let host = &record.settings.host;
        let asked = AskedIdentity {
            user: &record.settings.user,
            additional_groups: host.additional_groups.as_deref().unwrap_or_default(),
            groups_of_user: host.groups_of_user,
        };
        Identity::resolve(&asked, &read("/etc/passwd")?, &read("/etc/group")?).ok()
    }
}
