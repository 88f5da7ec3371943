//! Further processes in running containers.

mod saved;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::{ContainerId, ExecId, ProcessSpec, Ulimit};
use shim_protocol::{Answer, Attach, FailureKind, Request};
use tokio::sync::watch;

use crate::clients::DETACH_KEYS;
use crate::container::specification::{self, put_variable};
use crate::container::{Command, Container, Decision, Record, Refusal, capabilities, decide, resources};
use crate::engine::Engine;
use crate::error::Error;
use crate::random;
use crate::shim::RequestError;

pub(crate) use self::saved::SavedExec;
pub use self::saved::{ExecConfig, ExecState};

/// How long the notice of an exec's end may take once its process is gone.
const END_NOTICE: Duration = Duration::from_secs(1);

/// How long the shim's answer to the start of an exec may take.
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

impl Exec {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> ExecState {
        *self.state.borrow()
    }

    /// Waits while it is known that it was started but not yet what came of it.
    async fn settled(&self) {
        if self.state() == ExecState::Running(0) {
            let mut state = self.state.subscribe();
            let known = state.wait_for(|state| *state != ExecState::Running(0));
            let _ = tokio::time::timeout(START_ANSWER, known).await;
        }
    }

    /// The command and its arguments as events show them.
    fn command_line(&self) -> String {
        let arguments = self.config.cmd.get(1..).unwrap_or_default().join(" ");
        format!("{} {arguments}", self.config.cmd.first().map_or("", String::as_str))
    }
}

/// A checked wish to start an exec; [`ExecSession::run`] follows once the client's head is written.
pub struct ExecSession {
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    container: Arc<Container>,
    terminal: bool,
}

/// A client of an exec: its connection and what it sent behind its request's head.
pub struct ExecClient {
    /// The connection.
    pub socket: OwnedFd,
    /// What came already.
    pub early_input: Vec<u8>,
}

impl Engine {
    /// Makes an exec in a running container.
    ///
    /// # Errors
    /// No command, an unknown container, or one that does not run.
    pub fn create_exec(&self, reference: &str, config: ExecConfig) -> Result<ExecId, Error> {
        if config.cmd.is_empty() {
            return Err(Error::NoExecCommand);
        }
        let container = self.find(reference)?;
        let record = container.record();
        check_phase(&record, reference)?;
        self.cgroup_moves.prepare();
        let id = ExecId::from_random(random::bytes());
        let exec = Exec {
            id: id.clone(),
            container: record.id.clone(),
            config,
            state: watch::Sender::new(ExecState::Created),
        };
        self.remember_exec(&exec);
        let action = format!("exec_create: {}", exec.command_line());
        self.execs.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::new(exec));
        self.emit(&record, action, &[("execID", id.to_string())]);
        Ok(id)
    }

    /// Looks up an exec that a client wants to start; from here on it is taken.
    ///
    /// # Errors
    /// Unknown or already started exec, or a container that does not run.
    pub fn prepare_exec(self: &Arc<Self>, id: &str, terminal: bool) -> Result<ExecSession, Error> {
        let exec = self.exec(id)?;
        let container =
            self.directory.get(&exec.container).ok_or_else(|| Error::NoSuchExec(id.to_owned()))?;
        check_phase(&container.record(), exec.container.as_str())?;
        let taken = exec.state.send_if_modified(|state| {
            let is_new = *state == ExecState::Created;
            if is_new {
                *state = ExecState::Running(0);
            }
            is_new
        });
        if !taken {
            return Err(Error::ExecAlreadyRun(id.to_owned()));
        }
        self.remember_exec(&exec);
        Ok(ExecSession { engine: Arc::clone(self), exec, container, terminal })
    }

    /// Finds an exec and its container's record.
    ///
    /// A client whose stream has ended asks for the exit code at once, perhaps before the shim's
    /// notice of the end was read: an exec whose process is gone is waited for.
    ///
    /// # Errors
    /// Unknown exec, or one whose container ended.
    pub async fn inspect_exec(&self, id: &str) -> Result<(Arc<Exec>, Arc<Record>), Error> {
        let (exec, container) = self.find_exec(id)?;
        exec.settled().await;
        if let (ExecState::Running(pid), Some(shim)) = (exec.state(), container.shim())
            && pid != 0
            && let Ok(Answer::Processes(processes)) = shim.request(Request::Processes, None).await
            && !processes.contains(&pid)
        {
            let mut state = exec.state.subscribe();
            let ended = state.wait_for(|state| matches!(state, ExecState::Exited(_)));
            // Its output may be held open by others; then it counts as running.
            let _ = tokio::time::timeout(END_NOTICE, ended).await;
        }
        Ok((exec, container.record()))
    }

    fn find_exec(&self, id: &str) -> Result<(Arc<Exec>, Arc<Container>), Error> {
        let exec = self.exec(id)?;
        let container =
            self.directory.get(&exec.container).ok_or_else(|| Error::NoSuchExec(id.to_owned()))?;
        Ok((exec, container))
    }

    /// Sets the size of an exec's terminal. Clients do so as soon as the answer to their start begins, when
    /// the process may not run yet.
    ///
    /// # Errors
    /// Unknown exec, or one that does not run.
    pub async fn resize_exec(&self, id: &str, height: u16, width: u16) -> Result<(), Error> {
        let (exec, container) = self.find_exec(id)?;
        exec.settled().await;
        let shim = container.shim();
        let is_running = matches!(exec.state(), ExecState::Running(pid) if pid != 0);
        let Some(shim) = shim.filter(|_| is_running) else {
            return Err(Error::refused(format!("Exec {id} is not running")));
        };
        shim.request(Request::ExecResize { exec: exec.id.clone(), height, width }, None).await?;
        Ok(())
    }

    /// The ids of a container's execs that were not finished.
    #[must_use]
    pub fn exec_ids(&self, container: &ContainerId) -> Vec<ExecId> {
        let execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let of_container = execs.values().filter(|exec| exec.container == *container);
        of_container
            .filter(|exec| !matches!(exec.state(), ExecState::Exited(_)))
            .map(|exec| exec.id.clone())
            .collect()
    }

    pub(crate) fn exec_ended(&self, id: &ExecId, code: i32) {
        let exec = self.execs.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some(exec) = exec else { return };
        exec.state.send_replace(ExecState::Exited(code));
        self.remember_exec(&exec);
    }

    /// Saves an exec, so that the next daemon knows it too.
    fn remember_exec(&self, exec: &Exec) {
        let saved = SavedExec {
            id: exec.id.clone(),
            container: exec.container.clone(),
            config: exec.config.clone(),
            state: exec.state(),
        };
        if let Err(error) = self.database.save_exec(&saved) {
            tracing::warn!("cannot save exec {}: {error}", exec.id);
        }
    }

    /// Takes over the execs that an earlier daemon saved, those of containers that run still.
    pub(crate) fn restore_execs(&self) -> Result<(), Error> {
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        for saved in self.database.execs()? {
            let runs =
                self.directory.get(&saved.container).is_some_and(|container| container.record().is_running());
            if !runs {
                self.database.delete_execs(&saved.container)?;
                continue;
            }
            let exec = Exec {
                id: saved.id.clone(),
                container: saved.container,
                config: saved.config,
                state: watch::Sender::new(saved.state),
            };
            execs.insert(saved.id, Arc::new(exec));
        }
        Ok(())
    }

    /// Forgets the execs of a container that ended.
    pub(crate) fn forget_execs(&self, container: &ContainerId) {
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let before = execs.len();
        execs.retain(|_, exec| exec.container != *container);
        if execs.len() != before
            && let Err(error) = self.database.delete_execs(container)
        {
            tracing::warn!("cannot forget the execs of container {container}: {error}");
        }
    }
}

/// Whether an exec may be made or started; what refuses names the container as the client did.
fn check_phase(record: &Record, reference: &str) -> Result<(), Error> {
    match decide(record.phase, Command::Exec) {
        Decision::Run | Decision::AlreadyDone => Ok(()),
        Decision::Refuse(Refusal::Paused) => Err(Error::PausedForExec(reference.to_owned())),
        Decision::Refuse(_) => Err(Error::NotRunning(reference.to_owned())),
    }
}

impl ExecSession {
    /// Whether the client's pieces have heads: with a terminal they have none.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        !self.exec.config.tty
    }

    /// Starts the process; without a client its output is thrown away. Returns when it runs.
    ///
    /// # Errors
    /// A program that cannot be run: its text is for the client's stream.
    pub async fn run(self, client: Option<ExecClient>) -> Result<(), Error> {
        let Self { engine, exec, container, terminal } = self;
        let record = container.record();
        let config = &exec.config;
        let (socket, attach) = match client {
            None => (None, None),
            Some(client) => {
                let attach = Attach {
                    client: engine.clients.next(),
                    stdin: config.attach_stdin,
                    stdout: config.attach_stdout,
                    stderr: config.attach_stderr,
                    logs: false,
                    stream: true,
                    framed: !(config.tty || terminal),
                    detach_keys: if config.tty { DETACH_KEYS.to_vec() } else { Vec::new() },
                    early_input: client.early_input,
                };
                (Some(client.socket), Some(attach))
            }
        };
        engine.emit(
            &record,
            format!("exec_start: {}", exec.command_line()),
            &[("execID", exec.id.to_string())],
        );
        let request = shim_protocol::Exec {
            id: exec.id.clone(),
            process: process(&record, config, &engine.options.ulimits, &engine.link_environment(&record))?,
            privileged: config.privileged,
            attach,
        };
        let shim = container.shim().ok_or_else(|| Error::NotRunning(record.id.to_string()))?;
        let answer = shim.request(Request::Exec(Box::new(request)), socket.as_ref().map(AsFd::as_fd)).await;
        match answer {
            Ok(Answer::ExecStarted { process }) => {
                exec.state.send_if_modified(|state| {
                    let is_running = matches!(state, ExecState::Running(_));
                    if is_running {
                        *state = ExecState::Running(process.pid);
                    }
                    is_running
                });
                engine.remember_exec(&exec);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                engine.exec_ended(&exec.id, exit_code(&error));
                Err(error.into())
            }
        }
    }
}

/// The exit code of an exec that could not be started, as shells have it.
fn exit_code(error: &RequestError) -> i32 {
    match error {
        RequestError::Refused(failure) => match failure.kind {
            FailureKind::ProgramNotFound => 127,
            FailureKind::ProgramNotExecutable | FailureKind::UserNotFound => 126,
            FailureKind::NotFound | FailureKind::WrongState | FailureKind::Refused | FailureKind::System => {
                126
            }
        },
        RequestError::Gone | RequestError::Socket(_) => 137,
    }
}

/// The process of an exec: the container's surroundings with the exec's own wishes.
fn process(
    record: &Record,
    config: &ExecConfig,
    limits: &[Ulimit],
    links: &[String],
) -> Result<ProcessSpec, Error> {
    let host = &record.host_config;
    let security =
        crate::container::security::SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let hostname = specification::full_hostname(&record.config);
    let mut environment = specification::environment(record, &hostname, config.tty, links);
    for variable in &config.env {
        put_variable(&mut environment, variable);
    }
    let capabilities = if config.privileged || host.privileged {
        capabilities::all()
    } else {
        specification::capability_names(host)?
    };
    let own = |own: &String, container: &String| if own.is_empty() { container.clone() } else { own.clone() };
    Ok(ProcessSpec {
        arguments: config.cmd.clone(),
        environment,
        working_directory: own(&config.working_dir, &record.config.working_dir),
        user: own(&config.user, &record.config.user),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        terminal: config.tty,
        terminal_size: (0, 0),
        capabilities,
        no_new_privileges: security.no_new_privileges,
        resource_limits: resources::of_process(host, limits),
        oom_score_adjustment: specification::oom_score(host),
    })
}
