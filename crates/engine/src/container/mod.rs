//! Containers: their records, and the verbs that change them, one a file.

pub(crate) mod capabilities;
pub(crate) mod containers;
pub(crate) mod create;
mod devices;
pub(crate) mod execs;
pub(crate) mod exit;
pub(crate) mod follow_up;
mod frozen_work;
pub(crate) mod health;
mod joining;
mod kill;
mod lifecycle;
mod limit_files;
pub(crate) mod modes;
pub(crate) mod mounts;
pub(crate) mod own_tree;
pub(crate) mod pause;
mod probes;
mod processors;
pub(crate) mod prune;
pub(crate) mod remove;
mod rename;
pub(crate) mod resources;
pub(crate) mod restart;
mod restart_policy;
pub(crate) mod running_steps;
pub(crate) mod samples;
pub(crate) mod saved_exec;
pub(crate) mod scope;
pub(crate) mod security;
pub(crate) mod settings;
pub(crate) mod specification;
pub(crate) mod start;
mod start_files;
pub(crate) mod start_inputs;
pub(crate) mod statistics;
pub(crate) mod stop;
mod storage;
#[cfg(test)]
mod tests;
mod tmpfs;
pub(crate) mod top;
mod transition;
pub(crate) mod update;
pub(crate) mod user_namespace;
pub(crate) mod wait;
pub(crate) mod waiting;
mod words;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{ContainerId, ExecId};
use tokio::sync::{MutexGuard as AsyncMutexGuard, watch};

pub use crate::record::{Phase, Record};
pub use lifecycle::{Command, Decision, Refusal, decide};
pub(crate) use transition::Transition;

use crate::error::Error;
use crate::logs::followers::LogFollowers;
use crate::shim::Shim;
use crate::store::{Database, Durability, Row, Written};
use waiting::WaitingClients;

/// One container of the engine.
///
/// Changes are made under its `transition` lock; readers take the published [`Record`] and never wait.
pub struct Container {
    id: ContainerId,
    record: watch::Sender<Arc<Record>>,
    /// Held while the record is read, changed and published. Records whether the row was deleted, so that a
    /// late change does not make it again.
    row_state: Mutex<RowState>,
    database: Arc<Database>,
    /// Orders transitions: start, exit, pause, rename, removal.
    pub(crate) transition: Transition,
    shim: Mutex<Option<Arc<Shim>>>,
    /// Its files.
    pub(crate) tree: own_tree::OwnTree,
    /// The further processes in it.
    pub(crate) execs: execs::ContainerExecs,
    /// The steps of a build that run in it.
    pub(crate) running_steps: running_steps::RunningSteps,
    /// The work that it is frozen for.
    frozen_work: frozen_work::FrozenWork,
    /// Clients that attached before the start.
    pub(crate) waiting_clients: WaitingClients,
    /// Held shared by a stop and a restart until they are done: what removes the container after its end by itself
    /// waits for them.
    pub(crate) ending: tokio::sync::RwLock<()>,
    /// Followers of its log.
    pub(crate) log_followers: LogFollowers,
    /// Reports the outcome of a removal to its waiters.
    pub(crate) removal: watch::Sender<RemovalState>,
    /// Wakes a restart that waits out its delay, because a client took over.
    pub(crate) restart_cancelled: tokio::sync::Notify,
    /// Sends the counters to its followers, while there are some.
    pub(crate) sampler: Mutex<Option<watch::Sender<Option<Arc<samples::Samples>>>>>,
    /// The last counters that were read for a client.
    pub(crate) last_sample: Mutex<Option<samples::Sample>>,
    /// How often clients wrote files into it.
    writes: AtomicU64,
    /// The delay before the last restart by policy.
    pub(crate) restart_delay: Mutex<std::time::Duration>,
    /// Its purpose.
    pub(crate) purpose: Purpose,
}

/// The purpose of a container. This is not saved: after a restart of the daemon the build of a step is over,
/// and the step is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// For any use by a client.
    #[default]
    Client,
    /// One step of a graph of a build: it runs once, and its changes become a layer.
    Step,
    /// The steps of a stage of a graph, which run in it one after the other: its own init only holds what they share.
    StepHost,
}

/// The outcome of a container's removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemovalState {
    /// Nothing yet.
    Pending,
    /// The last one failed, for this reason.
    Failed(String),
    /// It is gone.
    Done,
}

/// Whether a container has a row in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowState {
    Saved,
    Deleted,
}

impl RowState {
    /// The rows of a changed record.
    fn rows(self, record: &Arc<Record>) -> Vec<Row> {
        match self {
            Self::Saved => vec![Row::Container(Arc::clone(record))],
            Self::Deleted => Vec::new(),
        }
    }
}

impl Container {
    /// A container whose row is in the database.
    pub(crate) fn new(record: Arc<Record>, database: Arc<Database>, purpose: Purpose) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            record: watch::Sender::new(record),
            row_state: Mutex::new(RowState::Saved),
            database,
            transition: Transition::default(),
            shim: Mutex::new(None),
            tree: own_tree::OwnTree::default(),
            execs: execs::ContainerExecs::default(),
            running_steps: running_steps::RunningSteps::default(),
            frozen_work: frozen_work::FrozenWork::default(),
            waiting_clients: WaitingClients::default(),
            ending: tokio::sync::RwLock::default(),
            log_followers: LogFollowers::default(),
            removal: watch::Sender::new(RemovalState::Pending),
            restart_cancelled: tokio::sync::Notify::new(),
            sampler: Mutex::default(),
            last_sample: Mutex::default(),
            restart_delay: Mutex::default(),
            purpose,
            writes: AtomicU64::new(0),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Waits for the lock that orders its transitions.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] when it has been removed meanwhile: a client has found it before.
    pub(crate) async fn lock_present(&self, reference: &str) -> Result<AsyncMutexGuard<'_, ()>, Error> {
        let order = self.transition.lock().await;
        if matches!(self.record().phase, Phase::Removing) {
            return Err(Error::NoSuchContainer(reference.to_owned()));
        }
        Ok(order)
    }

    /// Its current record.
    #[must_use]
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.borrow())
    }

    /// How often clients wrote files into it.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// Notes that a client has written files into it.
    pub(crate) fn note_write(&self) {
        self.writes.fetch_add(1, Ordering::Release);
    }

    /// Whether it is being removed.
    pub(crate) fn is_going(&self) -> bool {
        matches!(self.record().phase, Phase::Removing)
    }

    /// Follows changes of its record.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.record.subscribe()
    }

    /// Changes the record: publishes it, and has its row written soon, with retries until that succeeds.
    /// Changes are made one at a time.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let (record, written) = self.update_saved(change);
        written.forget();
        record
    }

    /// Changes the record as [`Self::update`] does, for callers that wait until its row is written.
    pub(crate) fn update_saved(&self, change: impl FnOnce(&mut Record)) -> (Arc<Record>, Written) {
        let state = self.row_state();
        let record = self.change(change);
        let written = self.database.keep(state.rows(&record));
        (record, written)
    }

    /// Has its row written as the record is now.
    pub(crate) fn save(&self) -> Written {
        let state = self.row_state();
        self.database.keep(state.rows(&self.record()))
    }

    /// Changes the record, and other rows in the same transaction. This is tried once: on failure the caller
    /// reverts it by another change.
    pub(crate) fn update_with(
        &self,
        mut rows: Vec<Row>,
        change: impl FnOnce(&mut Record),
    ) -> (Arc<Record>, Written) {
        let state = self.row_state();
        let record = self.change(change);
        rows.extend(state.rows(&record));
        let written = self.database.write(rows, Durability::Crash);
        (record, written)
    }

    /// Deletes its row, and in the same transaction those of the volumes that are removed with it. Later
    /// changes of the record make none again. Blocks until it is done.
    ///
    /// # Errors
    /// When the database fails; then the row is there as before.
    pub(crate) fn delete_row(&self, mut rows: Vec<Row>) -> Result<(), Error> {
        let written = {
            let mut state = self.row_state();
            *state = RowState::Deleted;
            rows.push(Row::NoContainer(self.id.clone()));
            self.database.write(rows, Durability::Crash)
        };
        let deleted = written.wait_blocking();
        if deleted.is_err() {
            let mut state = self.row_state();
            *state = RowState::Saved;
            // What changed meanwhile is in memory alone.
            self.database.keep(vec![Row::Container(self.record())]).forget();
        }
        deleted
    }

    fn row_state(&self) -> MutexGuard<'_, RowState> {
        self.row_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a change that need not outlive the daemon.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let _state = self.row_state();
        self.change(change)
    }

    /// The caller holds the row's state.
    fn change(&self, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let mut record = Record::clone(&self.record());
        change(&mut record);
        let record = Arc::new(record);
        self.record.send_replace(Arc::clone(&record));
        record
    }

    /// The connection to its shim while it runs.
    pub(crate) fn shim(&self) -> Option<Arc<Shim>> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection to the shim of the run that an exec was made in; `None` once that is over. The execs of a run are
    /// removed before its shim, so a listed one is not of an earlier run.
    pub(crate) fn shim_of(&self, exec: &ExecId) -> Option<Arc<Shim>> {
        let shim = self.shim();
        shim.filter(|_| self.execs.find(exec).is_some())
    }

    pub(crate) fn set_shim(&self, shim: Option<Arc<Shim>>) {
        *self.shim.lock().unwrap_or_else(PoisonError::into_inner) = shim;
    }
}
