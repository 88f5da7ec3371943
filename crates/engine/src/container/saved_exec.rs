//! What is kept of an exec: what it runs and how far it came.

use model::{ContainerId, ExecId};
use serde::{Deserialize, Serialize};

/// What a client asks to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct ExecConfig {
    pub user: String,
    pub privileged: bool,
    pub tty: bool,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub working_dir: String,
}

/// Where an exec is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecState {
    /// Made, not started.
    Created,
    /// Its process runs; the host's number of it, 0 until it is known.
    Running(u32),
    /// It ended with this code.
    Exited(i32),
}

/// An exec as it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedExec {
    pub(crate) id: ExecId,
    pub(crate) container: ContainerId,
    pub(crate) config: ExecConfig,
    pub(crate) state: ExecState,
}
