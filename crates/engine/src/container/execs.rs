//! The execs of one container: they live until it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{ContainerId, ExecId};
use tokio::sync::watch;

use crate::container::saved_exec::{self, ExecConfig, ExecState};
use crate::store::{Database, ExecRow, Row, Written};

/// How long those who look at an exec wait for what came of its start.
const START_ANSWER: Duration = Duration::from_secs(1);

/// One exec. It lives until its container ends.
pub struct Exec {
    /// Its id.
    pub id: ExecId,
    /// The container it runs in.
    pub container: ContainerId,
    /// What runs.
    pub config: ExecConfig,
    state: watch::Sender<ExecState>,
}

impl From<ExecRow> for Exec {
    fn from(row: ExecRow) -> Self {
        let (config, state) = saved_exec::of_document(row.document);
        Self { id: row.id, container: row.container, config, state: watch::Sender::new(state) }
    }
}

impl Exec {
    /// One that was not started.
    pub(crate) fn new(id: ExecId, container: ContainerId, config: ExecConfig) -> Self {
        Self { id, container, config, state: watch::Sender::new(ExecState::Created) }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> ExecState {
        *self.state.borrow()
    }

    /// Takes it for its one start; false when somebody has started it already.
    pub(crate) fn take(&self) -> bool {
        self.state.send_if_modified(|state| {
            let is_new = *state == ExecState::Created;
            if is_new {
                *state = ExecState::Running(0);
            }
            is_new
        })
    }

    /// Notes its process, unless its end is known already.
    pub(crate) fn note_start(&self, pid: u32) {
        self.state.send_if_modified(|state| {
            let is_running = matches!(state, ExecState::Running(_));
            if is_running {
                *state = ExecState::Running(pid);
            }
            is_running
        });
    }

    /// Notes its end; false when that is known already, as a shim reports it again to each daemon.
    pub(crate) fn note_end(&self, code: i32) -> bool {
        self.state.send_replace(ExecState::Exited(code)) != ExecState::Exited(code)
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, ExecState::Exited(_))).await;
    }

    /// Saves it, so that the next daemon knows it too.
    pub(crate) fn save(&self, database: &Database) -> Written {
        let (id, container) = (self.id.clone(), self.container.clone());
        let row = saved_exec::row(id, container, self.config.clone(), self.state());
        database.keep(vec![Row::Exec(row)])
    }

    /// Waits while it is known that it was started but not yet what came of it.
    pub(crate) async fn settled(&self) {
        if self.state() == ExecState::Running(0) {
            let mut state = self.state.subscribe();
            let known = state.wait_for(|state| *state != ExecState::Running(0));
            let _ = tokio::time::timeout(START_ANSWER, known).await;
        }
    }

    /// The command and its arguments as events show them.
    pub(crate) fn command_line(&self) -> String {
        let arguments = self.config.cmd.get(1..).unwrap_or_default().join(" ");
        format!("{} {arguments}", self.config.cmd.first().map_or("", String::as_str))
    }
}

/// All execs of a container.
#[derive(Default)]
pub(crate) struct ContainerExecs(Mutex<HashMap<ExecId, Arc<Exec>>>);

impl ContainerExecs {
    fn lock(&self) -> MutexGuard<'_, HashMap<ExecId, Arc<Exec>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, exec: Exec) -> Arc<Exec> {
        let exec = Arc::new(exec);
        self.lock().insert(exec.id.clone(), Arc::clone(&exec));
        exec
    }

    pub(crate) fn find(&self, id: &ExecId) -> Option<Arc<Exec>> {
        self.lock().get(id).cloned()
    }

    /// The ids of those that have not ended.
    pub(crate) fn unfinished(&self) -> Vec<ExecId> {
        let execs = self.lock();
        let unfinished = execs.values().filter(|exec| !matches!(exec.state(), ExecState::Exited(_)));
        unfinished.map(|exec| exec.id.clone()).collect()
    }

    /// Notes and saves the end of one.
    pub(crate) fn note_end(&self, id: &ExecId, code: i32, database: &Database) {
        let Some(exec) = self.find(id) else { return };
        if exec.note_end(code) {
            exec.save(database).forget();
        }
    }

    /// Those that were started and have not ended, as far as is known.
    pub(crate) fn running(&self) -> Vec<Arc<Exec>> {
        let execs = self.lock();
        let running = execs.values().filter(|exec| matches!(exec.state(), ExecState::Running(_)));
        running.cloned().collect()
    }

    /// Forgets all of them, and gives the ids that they had.
    pub(crate) fn take_all(&self) -> Vec<ExecId> {
        std::mem::take(&mut *self.lock()).into_keys().collect()
    }
}
