//! Follows a running container through its shim, and records its end.

use std::path::Path;
use std::sync::Arc;

use model::{EventAction, Exit, Timestamp};
use shim_protocol::{DetachReason, Notice, Request};

use crate::container::follow_up::FollowUps;
use crate::container::restart_policy::wants_restart;
use crate::container::{Container, Phase, Record, health};
use crate::directory::Directory;
use crate::disposal::remove_run_directory;
use crate::events::Events;
use crate::networking::Networking;
use crate::paths::Paths;
use crate::recorded_failure::RecordedFailure;
use crate::shim::{Notices, RECORD_LIMIT};
use crate::store::{Database, Row};
use crate::volumes::{VolumeMounts, Volumes};

/// 128 + SIGKILL: the exit code of a container whose shim died.
const KILLED: i32 = 137;

/// The recorded error.
const SHIM_DIED: &str = "the container's shim died, so the container was killed";

/// How a run ended, with the engine's own error message.
pub(crate) struct End {
    exit: Exit,
    failure: Option<RecordedFailure>,
}

impl End {
    /// An end that the shim reported.
    const fn reported(exit: Exit) -> Self {
        Self { exit, failure: None }
    }
}

/// Follows running containers.
pub(crate) struct Supervisor {
    pub(crate) database: Arc<Database>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) volume_mounts: Arc<VolumeMounts>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) follow_ups: FollowUps,
}

impl Supervisor {
    /// Follows a container until it ends, in a task of its own. The memory for handling the end is allocated only then: there
    /// are as many of these tasks as containers.
    pub(crate) fn supervise(self: &Arc<Self>, container: Arc<Container>, mut notices: Notices) {
        let supervisor = Arc::clone(self);
        tokio::spawn(async move {
            let started_at = container.record().started_at;
            let end = supervisor.follow(&container, &mut notices).await;
            container.running_steps.end_all();
            Box::pin(supervisor.record_exit(&container, end)).await;
            // Only now it is certain what the log's server did not accept.
            while let Some(incoming) = notices.recv().await {
                if let Notice::LogDropped { lines } = incoming.notice
                    && container.record().started_at == started_at
                {
                    note_dropped_lines(&container, lines);
                }
            }
        });
    }

    async fn follow(&self, container: &Arc<Container>, notices: &mut Notices) -> End {
        while let Some(incoming) = notices.recv().await {
            match incoming.notice {
                Notice::Exited(exit) => return End::reported(exit),
                Notice::OutOfMemory => self.note_out_of_memory(container),
                Notice::ExecExited { exec, exit } => {
                    if container.running_steps.end(&exec, exit.code) {
                        continue;
                    }
                    if container.execs.note_end(&exec, exit.code, &self.database) {
                        self.events.emit_exec_end(&container.record(), &exec, exit.code);
                    }
                }
                Notice::LogDropped { lines } => note_dropped_lines(container, lines),
                Notice::LogNotRotated { error } => {
                    let id = container.id();
                    tracing::warn!("cannot rotate the log of container {id}, so it grows: {error}");
                }
                Notice::ProbeStarted { exec } => self.note_probe_start(container, &exec),
                Notice::Probed(probed) => self.note_probe(container, *probed),
                Notice::Health(health) => self.note_health(container, *health),
                Notice::Detached { client, reason } => {
                    tracing::debug!("client {client} left container {}: {reason:?}", container.id());
                    if reason == DetachReason::Keys {
                        self.note_detach(container, client);
                    }
                }
                Notice::Hello { .. }
                | Notice::Reply { .. }
                | Notice::Created { .. }
                | Notice::Started { .. }
                | Notice::StartFailed { .. } => {}
            }
        }
        Box::pin(self.exit_without_shim(container)).await
    }

    /// A client has left by its keys.
    fn note_detach(&self, container: &Container, client: u64) {
        let record = container.record();
        match container.execs.of_client(client) {
            Some(exec) => {
                let attributes = [("execID", exec.id.to_string())];
                self.events.emit_container(&record, EventAction::ExecDetach, &attributes);
            }
            None => self.events.emit_container(&record, EventAction::Detach, &[]),
        }
    }

    /// The shim reports it again on each new connection; listeners get it once.
    fn note_out_of_memory(&self, container: &Arc<Container>) {
        if container.record().out_of_memory {
            return;
        }
        let change = || container.update(|record| record.out_of_memory = true);
        self.events.emit_change(change, |_| (EventAction::OutOfMemory, Vec::new()));
    }

    /// The exit of a container whose shim is gone: its record on disk, or that it was killed.
    pub(crate) async fn exit_without_shim(&self, container: &Container) -> End {
        let directory = self.paths.run(container.id());
        if let Some(exit) = read_exit(&directory.exit_record()) {
            container.publish(|record| health::take_left(record, &directory));
            return End::reported(exit);
        }
        tracing::error!("the shim of container {} died: the container is taken down", container.id());
        let record = container.record();
        crate::cgroup::take_down(directory, record.cgroups.clone(), record.phase.process()).await;
        let exit = Exit {
            code: KILLED,
            signal: Some(model::Signal::KILL),
            out_of_memory: false,
            finished_at: Timestamp::now(),
        };
        End { exit, failure: Some(RecordedFailure::Other(SHIM_DIED.to_owned())) }
    }

    /// Records an exit, takes down what the run needed, and lets the policy decide what follows.
    pub(crate) async fn record_exit(self: &Arc<Self>, container: &Arc<Container>, end: End) {
        let End { exit, failure } = end;
        let _order = container.transition.lock().await;
        let out_of_memory = container.record().out_of_memory || exit.out_of_memory;
        let reported = container.record().out_of_memory;
        let change = |record: &mut Record| {
            record.phase = Phase::Exited;
            record.exit_code = exit.code;
            record.failure.clone_from(&failure);
            record.finished_at = exit.finished_at;
            record.out_of_memory = out_of_memory;
            record.exits += 1;
            health::suspend(record);
            if wants_restart(record) {
                record.phase = Phase::Restarting;
            }
        };
        self.end_log(container).await;
        let ending = self.networking.endings.read().await;
        // Shown at once; saved when all is taken down. Until then the next daemon reads the shim's record.
        let events = self.events.before_a_row();
        let record = events.emit_change(
            || container.publish(change),
            |record| {
                let seconds = record.finished_at.since(record.started_at).as_secs();
                let code = exit.code.to_string();
                (EventAction::Die, vec![("exitCode", code), ("execDuration", seconds.to_string())])
            },
        );
        if out_of_memory && !reported {
            events.emit_container(&record, EventAction::OutOfMemory, &[]);
        }
        self.networking.disconnect_network(container).await;
        drop(ending);
        self.take_down(container).await;
        self.volumes.events.emit_unmounts(&record);
        if record.is_restarting() {
            self.follow_ups.restart(container);
        } else if record.settings.host.auto_remove {
            self.follow_ups.remove(&record.id);
        }
    }

    /// Records where the run's log ends, for its followers, before the container can be started again.
    async fn end_log(&self, container: &Arc<Container>) {
        if container.log_followers.is_empty() {
            return;
        }
        let (own, record) = (Arc::clone(container), container.record());
        let path = self.paths.log(&record);
        // Without a record each follower searches the end itself.
        let _ = tokio::task::spawn_blocking(move || own.log_followers.end(record.exits, &path)).await;
    }

    /// Removes the execs of a container that ended.
    fn forget_execs(&self, container: &Container) {
        let execs = container.execs.take_all();
        self.directory.forget_execs(&execs);
        if !execs.is_empty() {
            self.database.keep(vec![Row::NoExecs(container.id().clone())]).forget();
        }
    }

    /// Releases the network, the shim and its cgroups, saves that, then removes the run directory.
    pub(crate) async fn take_down(&self, container: &Arc<Container>) {
        self.forget_execs(container);
        self.networking.disconnect_network(container).await;
        if let Some(shim) = container.shim()
            && let Err(error) = shim.request(Request::Release, None).await
            && !error.means_ended()
        {
            tracing::error!("the shim of container {} is killed: {error}", container.id());
            shim.kill();
        }
        container.set_shim(None);
        self.volume_mounts.let_go(&container.record()).await;
        crate::cgroup::remove(container.record().cgroups.clone()).await;
        let (_, written) = container.update_saved(|record| {
            record.clear_endpoints();
            record.cgroups = Vec::new();
        });
        // If it is not written, on a full disk for example, the shim's record stays for the next daemon.
        if written.wait().await.is_ok() {
            remove_run_directory(&self.paths.run(container.id()));
        }
    }
}

/// Publishes how many lines a log has lost, and logs a warning for the first ones.
fn note_dropped_lines(container: &Container, lines: u64) {
    if container.record().log_lines_dropped == 0 {
        tracing::warn!(
            "the log of container {} does not take its lines: {lines} lost so far",
            container.id()
        );
    }
    container.publish(|record| record.log_lines_dropped = lines);
}

/// Reads a shim's exit record.
pub(crate) fn read_exit(path: &Path) -> Option<Exit> {
    serde_json::from_slice(&sys::bounded_read::read(path, RECORD_LIMIT).ok()?).ok()
}
