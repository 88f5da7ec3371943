//! Takes what shims report of the probes of their containers' health.

use std::sync::Arc;

use model::{EventAction, ExecId, Health, HealthStatus};
use shim_protocol::Probed;

use crate::container::exit::Supervisor;
use crate::container::{Container, Record, health};

impl Supervisor {
    /// A probe begins.
    pub(crate) fn note_probe_start(&self, container: &Container, exec: &ExecId) {
        let record = container.record();
        let Some(check) = health::specification(&record) else { return };
        let command = check.arguments.join(" ");
        for action in [EventAction::ExecCreate(command.clone()), EventAction::ExecStart(command)] {
            self.events.emit_probe(&record, action, &[("execID", exec.to_string())]);
        }
    }

    /// A probe has ended.
    pub(crate) fn note_probe(&self, container: &Container, probed: Probed) {
        let Probed { exec, exit_code, result, status, failing_streak } = probed;
        let more = [("execID", exec.to_string()), ("exitCode", exit_code.to_string())];
        self.events.emit_probe(&container.record(), EventAction::ExecDie, &more);
        self.change_health(container, status, |health| {
            health.failing_streak = failing_streak;
            health.keep(result);
        });
    }

    /// A shim reports all results to a daemon that connects.
    pub(crate) fn note_health(&self, container: &Container, reported: Health) {
        self.change_health(container, reported.status, |health| {
            health.failing_streak = reported.failing_streak;
            health.replace_last(reported.log);
        });
    }

    /// Results are shown at once and saved with the next change of the status, whose event it is.
    fn change_health(&self, container: &Container, status: HealthStatus, change: impl FnOnce(&mut Health)) {
        let before = container.record();
        let Some(known) = before.health.as_ref().filter(|_| before.is_running()) else { return };
        let status = if before.is_paused_by_client() { known.status } else { status };
        let is_new = status != known.status;
        let change = |record: &mut Record| {
            if let Some(health) = &mut record.health {
                let health = Arc::make_mut(health);
                health.status = status;
                change(health);
            }
        };
        if !is_new {
            container.publish(change);
            return;
        }
        let tell = |_: &Record| (EventAction::HealthStatus(status), Vec::new());
        self.events.emit_change(|| container.update(change), tell);
    }
}
