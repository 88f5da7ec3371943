//! The execs of one container: kept until it ends, ended ones for five minutes at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use model::{ContainerId, ExecId};
use tokio::sync::watch;

use crate::container::saved_exec::{self, ExecConfig, ExecState};
use crate::store::{Database, ExecRow, Row, Written};

/// How long an inspect of an exec waits for the outcome of its start.
const START_ANSWER: Duration = Duration::from_secs(1);

/// One exec. It is kept until its container ends, or some minutes longer than its process.
pub struct Exec {
    /// Its id.
    pub id: ExecId,
    /// The container it runs in.
    pub container: ContainerId,
    /// Its configuration.
    pub config: ExecConfig,
    state: watch::Sender<ExecState>,
    ended_at: OnceLock<Instant>,
    /// The number of the client that it was started with.
    client: OnceLock<u64>,
}

impl From<ExecRow> for Exec {
    fn from(row: ExecRow) -> Self {
        let (config, state) = saved_exec::of_document(row.document);
        Self::in_state(row.id, row.container, config, state)
    }
}

impl Exec {
    /// One that was not started.
    pub(crate) fn new(id: ExecId, container: ContainerId, config: ExecConfig) -> Self {
        Self::in_state(id, container, config, ExecState::Created)
    }

    fn in_state(id: ExecId, container: ContainerId, config: ExecConfig, state: ExecState) -> Self {
        let ended_at = OnceLock::new();
        if matches!(state, ExecState::Exited(_)) {
            // An earlier daemon saw it end.
            let _ = ended_at.set(Instant::now());
        }
        Self { id, container, config, state: watch::Sender::new(state), ended_at, client: OnceLock::new() }
    }

    /// Notes with which client it is started.
    pub(crate) fn note_client(&self, client: u64) {
        let _ = self.client.set(client);
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> ExecState {
        *self.state.borrow()
    }

    fn has_ended(&self) -> bool {
        matches!(self.state(), ExecState::Exited(_))
    }

    /// Claims it for its only start; false when it was started already.
    pub(crate) fn take(&self) -> bool {
        self.state.send_if_modified(|state| {
            let is_new = *state == ExecState::Created;
            if is_new {
                *state = ExecState::Running(0);
            }
            is_new
        })
    }

    /// Records its process, unless its end is recorded already.
    pub(crate) fn note_start(&self, pid: u32) {
        self.state.send_if_modified(|state| {
            let is_running = matches!(state, ExecState::Running(_));
            if is_running {
                *state = ExecState::Running(pid);
            }
            is_running
        });
    }

    /// Records its end; false when that is recorded already, as a shim reports it again to each daemon.
    pub(crate) fn note_end(&self, code: i32) -> bool {
        let _ = self.ended_at.set(Instant::now());
        self.state.send_replace(ExecState::Exited(code)) != ExecState::Exited(code)
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, ExecState::Exited(_))).await;
    }

    /// Saves its progress without waiting for the disk: the shim reports to the next daemon which execs run
    /// and how the last ones ended.
    fn save_progress(&self, database: &Database) {
        database.keep_soon(vec![self.row()]);
    }

    fn row(&self) -> Row {
        let (id, container) = (self.id.clone(), self.container.clone());
        Row::Exec(saved_exec::row(id, container, self.config.clone(), self.state()))
    }

    /// Waits while it is starting and the outcome is unknown.
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
        self.lock().values().filter(|exec| !exec.has_ended()).map(|exec| exec.id.clone()).collect()
    }

    /// The exec that was started with this client.
    pub(crate) fn of_client(&self, client: u64) -> Option<Arc<Exec>> {
        self.lock().values().find(|exec| exec.client.get() == Some(&client)).cloned()
    }

    /// Saves a new one for the next daemon; `None` when it is removed already.
    pub(crate) fn save_new(&self, id: &ExecId, database: &Database) -> Option<Written> {
        self.lock().get(id).map(|exec| database.keep(vec![exec.row()]))
    }

    /// Saves one, unless it is removed: its row would stay behind those that are deleted with the run.
    pub(crate) fn save(&self, id: &ExecId, database: &Database) {
        if let Some(exec) = self.lock().get(id) {
            exec.save_progress(database);
        }
    }

    /// Records and saves the end of one; false when it is recorded already.
    pub(crate) fn note_end(&self, id: &ExecId, code: i32, database: &Database) -> bool {
        let execs = self.lock();
        let Some(exec) = execs.get(id) else { return false };
        let is_new = exec.note_end(code);
        if is_new {
            exec.save_progress(database);
        }
        is_new
    }

    /// Removes those that had ended by then, and returns their ids.
    pub(crate) fn take_ended(&self, by: Instant) -> Vec<ExecId> {
        let mut execs = self.lock();
        let has_ended = |exec: &Exec| exec.ended_at.get().is_some_and(|ended| *ended <= by);
        execs.extract_if(|_, exec| has_ended(exec)).map(|(id, _)| id).collect()
    }

    /// Those whose end is not recorded.
    pub(crate) fn open(&self) -> Vec<Arc<Exec>> {
        let execs = self.lock();
        execs.values().filter(|exec| !exec.has_ended()).cloned().collect()
    }

    /// Whether the end of any is not recorded.
    pub(crate) fn has_open(&self) -> bool {
        self.lock().values().any(|exec| !exec.has_ended())
    }

    /// Removes one.
    pub(crate) fn forget(&self, id: &ExecId) {
        self.lock().remove(id);
    }

    /// Removes all of them, and returns their ids.
    pub(crate) fn take_all(&self) -> Vec<ExecId> {
        std::mem::take(&mut *self.lock()).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_forgotten_after_a_while_and_nothing_else() {
        let execs = ContainerExecs::default();
        let id = |number: u8| ExecId::from_random([number; 32]);
        let container = ContainerId::from_random([0; 32]);
        let add = |number: u8| execs.insert(Exec::new(id(number), container.clone(), ExecConfig::default()));
        let (_created, running, ended) = (add(1), add(2), add(3));
        assert!(running.take() && ended.note_end(5));
        let before = *ended.ended_at.get().expect("its end") - Duration::from_nanos(1);
        assert_eq!(execs.take_ended(before), []);
        // A shim reports the end again to each daemon.
        assert!(!ended.note_end(5));
        assert_eq!(execs.take_ended(Instant::now()), [id(3)]);
        assert_eq!(execs.take_ended(Instant::now() + Duration::from_secs(3600)), []);
        assert!(execs.find(&id(1)).is_some() && execs.find(&id(2)).is_some());
    }
}
