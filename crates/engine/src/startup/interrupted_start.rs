//! A start during which the last daemon died, before it released the container's first process or before it
//! recorded that.
//!
//! ```text
//! shim ──report of the first instruction──▶ taken over, it runs
//!   └───────────────anything else───────▶ taken down, with the exit that it left
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{EventAction, Exit, ProcessReference, Timestamp};
use shim_protocol::{Notice, Request, RunDirectory};

use crate::container::exit::read_exit;
use crate::container::{Container, Phase, health};
use crate::disposal::remove_run_directory;
use crate::realm::Realm;
use crate::shim::{Notices, Shim};

/// How long a shim may take to report how far it came.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a shim may take to undo what it made, before it is killed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How far a shim came.
#[derive(Default)]
struct Progress {
    init: Option<ProcessReference>,
    started: Option<Timestamp>,
    cgroups: Vec<PathBuf>,
}

/// The running processes.
struct Run {
    init: ProcessReference,
    at: Timestamp,
    cgroups: Vec<PathBuf>,
}

/// Takes the container over if it runs, and takes down what was half made if it does not.
pub(crate) async fn settle(realm: &Arc<Realm>, container: &Arc<Container>, directory: &RunDirectory) {
    let exit = read_exit(&directory.exit_record());
    let mut progress = Progress::default();
    if exit.is_none()
        && let Ok((shim, mut notices)) = Shim::adopt(directory)
    {
        // It sends its state first, before any answer. Whether it has processes does not matter here.
        let _ = shim.request_within(TIMEOUT, Request::Processes, None).await;
        progress.learn(&mut notices);
        if progress.started.is_none() {
            let released = shim.request_within(RELEASE_TIMEOUT, Request::Release, None).await;
            // One that was slow to report runs, and refuses to be released.
            progress.learn(&mut notices);
            if progress.started.is_none() && released.is_err() {
                shim.kill();
            }
        }
        if let (Some(init), Some(at)) = (progress.init, progress.started) {
            container.set_shim(Some(shim));
            realm.volume_mounts.take_over(&container.record(), directory);
            record_start(realm, container, Run { init, at, cgroups: progress.cgroups });
            realm.supervisor.supervise(Arc::clone(container), notices);
            return;
        }
    }
    crate::cgroup::take_down(directory.clone(), progress.cgroups, progress.init).await;
    remove_run_directory(directory);
    if let Some(exit) = exit {
        record_exit(container, &exit);
    }
}

impl Progress {
    fn learn(&mut self, notices: &mut Notices) {
        while let Ok(incoming) = notices.try_recv() {
            match incoming.notice {
                Notice::Created { init, cgroups } => {
                    self.init = self.init.or(Some(init));
                    self.cgroups = cgroups;
                }
                Notice::Started { at } => {
                    self.started = Some(at);
                    return;
                }
                _ => {}
            }
        }
    }
}

fn record_start(realm: &Realm, container: &Container, run: Run) {
    let record = container.update(|record| {
        record.phase = Phase::Running(run.init);
        record.started_at = run.at;
        record.exit_code = 0;
        record.failure = None;
        record.cgroups = run.cgroups;
        record.health = health::at_start(record);
        // It has not been stopped since it was started.
        record.stopped_by_client = false;
    });
    realm.events.emit_container(&record, EventAction::Start, &[]);
}

fn record_exit(container: &Container, exit: &Exit) {
    container.update(|record| {
        record.phase = Phase::Exited;
        record.exit_code = exit.code;
        record.finished_at = exit.finished_at;
    });
}
