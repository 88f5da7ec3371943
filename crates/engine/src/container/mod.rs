//! Containers: what is known of each, and the verbs that change it, one a file.

pub(crate) mod capabilities;
pub(crate) mod containers;
pub(crate) mod create;
mod devices;
pub(crate) mod execs;
pub(crate) mod exit;
pub(crate) mod follow_up;
mod kill;
mod lifecycle;
pub(crate) mod modes;
pub(crate) mod mounts;
pub(crate) mod pause;
mod processors;
pub(crate) mod remove;
mod rename;
pub(crate) mod resources;
pub(crate) mod restart;
mod restart_policy;
pub(crate) mod samples;
pub(crate) mod saved_exec;
pub(crate) mod security;
pub(crate) mod settings;
pub(crate) mod specification;
pub(crate) mod start;
pub(crate) mod start_inputs;
pub(crate) mod statistics;
pub(crate) mod stop;
mod tmpfs;
pub(crate) mod top;
mod transition;
mod wait;
pub(crate) mod waiting;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use model::ContainerId;
use tokio::sync::watch;

pub use crate::record::{Phase, Record};
pub use lifecycle::{Command, Decision, Refusal, decide};
pub(crate) use transition::Transition;

use crate::database::{Database, Durability, VolumeRows};
use crate::error::Error;
use crate::shim::Shim;
use waiting::WaitingClients;

/// One container of the engine.
///
/// Whoever changes it holds its `transition` lock; readers take the published
/// [`Record`] and never wait.
pub struct Container {
    id: ContainerId,
    record: watch::Sender<Arc<Record>>,
    /// Held while the record is read, changed and published. Says whether there is still a row, so that a
    /// late change does not write a new one.
    writing: Mutex<RowState>,
    /// Orders transitions: start, exit, pause, rename, removal.
    pub(crate) transition: Transition,
    shim: Mutex<Option<Arc<Shim>>>,
    /// The further processes in it.
    pub(crate) execs: execs::ContainerExecs,
    /// Clients that attached before the start.
    pub(crate) waiting_clients: WaitingClients,
    /// Wakes a restart that waits out its delay, because a client took over.
    pub(crate) restart_cancelled: tokio::sync::Notify,
    /// Gives the counters to those who follow them, while there are some.
    pub(crate) sampler: Mutex<Option<watch::Sender<Option<Arc<samples::Samples>>>>>,
    /// The counters that anybody asked for last.
    pub(crate) last_sample: Mutex<Option<samples::Sample>>,
    /// The delay before the last restart by policy.
    pub(crate) restart_delay: Mutex<std::time::Duration>,
}

/// Whether a container has a row in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowState {
    Saved,
    Forgotten,
}

impl Container {
    pub(crate) fn new(record: Record) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            record: watch::Sender::new(Arc::new(record)),
            writing: Mutex::new(RowState::Saved),
            transition: Transition::default(),
            shim: Mutex::new(None),
            execs: execs::ContainerExecs::default(),
            waiting_clients: WaitingClients::default(),
            restart_cancelled: tokio::sync::Notify::new(),
            sampler: Mutex::default(),
            last_sample: Mutex::default(),
            restart_delay: Mutex::default(),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.id
    }

    /// All that is known of it now.
    #[must_use]
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.borrow())
    }

    /// Follows what is known of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.record.subscribe()
    }

    /// Changes the record: saves it, then shows it to everyone. One change at a time, whoever makes it.
    ///
    /// # Errors
    /// When it cannot be saved; then nothing is changed.
    pub(crate) fn update(
        &self,
        database: &Database,
        change: impl FnOnce(&mut Record),
    ) -> Result<Arc<Record>, Error> {
        self.update_with(database, &VolumeRows::default(), change)
    }

    /// Changes the record, and in the same step the volumes that this concerns.
    ///
    /// # Errors
    /// When it cannot be saved; then nothing is changed.
    pub(crate) fn update_with(
        &self,
        database: &Database,
        volumes: &VolumeRows,
        change: impl FnOnce(&mut Record),
    ) -> Result<Arc<Record>, Error> {
        let kept = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Record::clone(&self.record());
        change(&mut record);
        match *kept {
            RowState::Saved => database.save(&record, volumes, Durability::Crash)?,
            RowState::Forgotten => {}
        }
        Ok(self.show(record))
    }

    /// Deletes its row, for ever, and in the same step those of the volumes that go with it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn forget(&self, database: &Database, volumes: &VolumeRows) -> Result<(), Error> {
        let mut kept = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        database.delete(&self.id, volumes)?;
        *kept = RowState::Forgotten;
        Ok(())
    }

    /// Shows a change that need not outlive the daemon.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Record::clone(&self.record());
        change(&mut record);
        self.show(record)
    }

    fn show(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.record.send_replace(Arc::clone(&record));
        record
    }

    /// The connection to its shim while it runs.
    pub(crate) fn shim(&self) -> Option<Arc<Shim>> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_shim(&self, shim: Option<Arc<Shim>>) {
        *self.shim.lock().unwrap_or_else(PoisonError::into_inner) = shim;
    }
}
