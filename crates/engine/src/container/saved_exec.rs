//! The saved state of an exec: its configuration and its progress.

use model::{ContainerId, ExecId};

use crate::store::{ExecConfigDocument, ExecDocument, ExecRow, ExecStateDocument};

/// A client's request to run a further process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Bytes that end its client's attachment when typed; empty for Ctrl-P, Ctrl-Q.
    pub detach_keys: Vec<u8>,
    /// Rows and columns of its terminal.
    pub console_size: Option<(u16, u16)>,
}

/// Where an exec is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecState {
    /// Made, not started.
    Created,
    /// Its process runs; with its process id on the host, 0 until that is reported.
    Running(u32),
    /// It ended with this code.
    Exited(i32),
}

/// The row of an exec.
pub(crate) fn row(id: ExecId, container: ContainerId, config: ExecConfig, state: ExecState) -> ExecRow {
    let ExecConfig {
        user,
        privileged,
        tty,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        cmd,
        env,
        working_dir,
        detach_keys,
        console_size,
    } = config;
    let config = ExecConfigDocument {
        user,
        privileged,
        tty,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        cmd,
        env,
        working_dir,
        detach_keys,
        console_size,
    };
    let state = match state {
        ExecState::Created => ExecStateDocument::Created,
        ExecState::Running(pid) => ExecStateDocument::Running(pid),
        ExecState::Exited(code) => ExecStateDocument::Exited(code),
    };
    let document = ExecDocument { config, state };
    ExecRow { id, container, document }
}

/// An exec's configuration and state from its row.
pub(crate) fn of_document(document: ExecDocument) -> (ExecConfig, ExecState) {
    let ExecDocument { config, state } = document;
    let config = ExecConfig {
        user: config.user,
        privileged: config.privileged,
        tty: config.tty,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        cmd: config.cmd,
        env: config.env,
        working_dir: config.working_dir,
        detach_keys: config.detach_keys,
        console_size: config.console_size,
    };
    let state = match state {
        ExecStateDocument::Created => ExecState::Created,
        ExecStateDocument::Running(pid) => ExecState::Running(pid),
        ExecStateDocument::Exited(code) => ExecState::Exited(code),
    };
    (config, state)
}
