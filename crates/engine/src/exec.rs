//! Further processes in running containers.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{ContainerId, EventAction, ExecId, ProcessSpec, Ulimit};
use shim_protocol::{Answer, Attach, FailureKind, Request};

use crate::clients::{ClientNumbers, DETACH_KEYS};
use crate::container::execs::Exec;
use crate::container::saved_exec::{ExecConfig, ExecState};
use crate::container::security::SecurityOptions;
use crate::container::specification;
use crate::container::{
    Command, Container, Decision, Phase, Record, Refusal, capabilities, decide, resources,
};
use crate::directory::Directory;
use crate::error::Error;
use crate::events::Events;
use crate::networking::Networking;
use crate::options::Options;
use crate::random;
use crate::shim::RequestError;
use crate::store::{Database, ExecRow, Row};

/// How long the notice of an exec's end may take once its process is gone.
const END_NOTICE: Duration = Duration::from_secs(1);

/// How long a client waits for the start of its exec: the program is read from the container's disk, which
/// may be slow.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The exit code of shells for what cannot be executed.
const CANNOT_RUN: i32 = 126;

/// 128 + SIGKILL: the exit code of an exec whose end was not observed.
const LOST: i32 = 137;

/// How long an exec can be inspected after its end: clients read its exit code when its stream has ended.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// How often long ended execs are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A validated request to start an exec; [`ExecSession::run`] follows once the client's headers are written.
/// When the client leaves before that, the exec runs without one.
pub struct ExecSession {
    start: Option<ExecStart>,
}

/// An exec that is claimed for its only start.
struct ExecStart {
    execs: Arc<Execs>,
    exec: Arc<Exec>,
    container: Arc<Container>,
    options: ExecStartOptions,
}

/// How a client starts an exec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecStartOptions {
    /// The stream's form is that of a terminal: without frames.
    pub terminal: bool,
    /// Rows and columns of the terminal, before those that the exec was made with.
    pub console_size: Option<(u16, u16)>,
}

/// A client of an exec: its connection and what it sent behind its request's headers.
pub struct ExecClient {
    /// The connection.
    pub socket: OwnedFd,
    /// Input that arrived already.
    pub early_input: Vec<u8>,
}

/// The execs of all containers, for clients.
pub struct Execs {
    pub(crate) database: Arc<Database>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) clients: Arc<ClientNumbers>,
    pub(crate) options: Arc<Options>,
}

impl Execs {
    /// Makes an exec in a running container.
    ///
    /// # Errors
    /// No command, an unknown container, or one that does not run.
    pub async fn create(&self, reference: &str, config: ExecConfig) -> Result<ExecId, Error> {
        if config.cmd.is_empty() {
            return Err(Error::NoExecCommand);
        }
        let container = self.directory.find(reference)?;
        let record = container.record();
        check_phase(&record, reference)?;
        let id = ExecId::from_random(random::bytes());
        let container_id = record.id.clone();
        let exec = Exec::new(id.clone(), container_id.clone(), config);
        let action = EventAction::ExecCreate(exec.command_line());
        container.execs.insert(exec);
        self.directory.insert_exec(id.clone(), container_id);
        // The code that recorded the container's end meanwhile may not have seen it.
        let now = container.record();
        if now.exits != record.exits || matches!(now.phase, Phase::Removing) {
            container.execs.forget(&id);
            self.directory.forget_execs(std::slice::from_ref(&id));
            return Err(Error::NotRunning(reference.to_owned()));
        }
        self.events.before_a_row().emit_container(&record, action, &[("execID", id.to_string())]);
        // A client with its id finds it after a crash of the daemon too; a failure is retried.
        if let Some(saved) = container.execs.save_new(&id, &self.database) {
            let _ = saved.wait().await;
        }
        Ok(id)
    }

    /// Looks up an exec to be started for a client; from here on it is claimed.
    ///
    /// # Errors
    /// Unknown or already started exec, or a container that does not run.
    pub fn prepare(self: &Arc<Self>, id: &str, options: ExecStartOptions) -> Result<ExecSession, Error> {
        let (exec, container) = self.directory.find_exec(id)?;
        check_phase(&container.record(), exec.container.as_str())?;
        if !exec.take() {
            return Err(Error::ExecAlreadyRun(id.to_owned()));
        }
        container.execs.save(&exec.id, &self.database);
        Ok(ExecSession { start: Some(ExecStart { execs: Arc::clone(self), exec, container, options }) })
    }

    /// Finds an exec and its container's record.
    ///
    /// A client whose stream has ended requests the exit code at once, perhaps before the shim's notice of
    /// the end was read: if the process of the exec is gone, this waits for the notice.
    ///
    /// # Errors
    /// Unknown exec, or one whose container ended.
    pub async fn inspect(&self, id: &str) -> Result<(Arc<Exec>, Arc<Record>), Error> {
        let (exec, container) = self.directory.find_exec(id)?;
        exec.settled().await;
        if let ExecState::Running(pid) = exec.state()
            && pid != 0
            && !sys::process::runs(pid)
        {
            // Its output may be held open by others; then it counts as running.
            let _ = tokio::time::timeout(END_NOTICE, exec.ended()).await;
        }
        Ok((exec, container.record()))
    }

    /// Sets the size of an exec's terminal. Clients do so as soon as the answer to their start begins, when
    /// the process may not run yet.
    ///
    /// # Errors
    /// Unknown exec, or one that does not run.
    pub async fn resize(&self, id: &str, height: u16, width: u16) -> Result<(), Error> {
        let (exec, container) = self.directory.find_exec(id)?;
        exec.settled().await;
        let shim = container.shim();
        let is_running = matches!(exec.state(), ExecState::Running(pid) if pid != 0);
        let Some(shim) = shim.filter(|_| is_running) else {
            return Err(Error::refused(format!("Exec {id} is not running")));
        };
        let request = Request::ExecResize { exec: exec.id.clone(), height, width };
        shim.request(request, None).await.map_err(|error| {
            let ended = Error::refused(format!("Exec {id} is not running"));
            if error.means_ended() { ended } else { error.into() }
        })?;
        Ok(())
    }

    /// The ids of a container's execs that have not ended.
    #[must_use]
    pub fn of_container(&self, container: &ContainerId) -> Vec<ExecId> {
        self.directory.get(container).map(|container| container.execs.unfinished()).unwrap_or_default()
    }

    /// Updates the execs of a container that is taken over: the last daemon may have died before it sent a
    /// start, or before it read an answer or an end, or saved any of that.
    pub(crate) async fn settle(&self, container: &Container) {
        let open = container.execs.open();
        let Some(shim) = container.shim().filter(|_| !open.is_empty()) else { return };
        // A shim of an older release cannot list them; its execs end with their notices.
        let Ok(Answer::Execs(running)) = shim.request(Request::Execs, None).await else { return };
        for exec in open {
            if let Some((_, process)) = running.iter().find(|(id, _)| *id == exec.id) {
                let _ = exec.take();
                exec.note_start(process.pid);
                container.execs.save(&exec.id, &self.database);
            } else if exec.state() != ExecState::Created
                && tokio::time::timeout(END_NOTICE, exec.ended()).await.is_err()
            {
                // How it ended would have been reported with the connection, if it ever ran.
                if container.execs.note_end(&exec.id, LOST, &self.database) {
                    self.events.emit_exec_end(&container.record(), &exec.id, LOST);
                }
            }
        }
    }

    /// Removes execs some minutes after their ends, for as long as the engine runs.
    pub(crate) async fn forget_ended(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let Some(by) = Instant::now().checked_sub(KEPT) else { continue };
            for container in self.directory.all() {
                let ended = container.execs.take_ended(by);
                self.directory.forget_execs(&ended);
                if !ended.is_empty() {
                    self.database.keep(ended.into_iter().map(Row::NoExec).collect()).forget();
                }
            }
        }
    }

    /// Takes over the execs that an earlier daemon saved, those of containers that still run.
    pub(crate) fn restore(&self, saved: Vec<ExecRow>) {
        for row in saved {
            let container = self.directory.get(&row.container);
            let Some(container) = container.filter(|container| container.record().is_running()) else {
                self.database.keep(vec![Row::NoExecs(row.container)]).forget();
                continue;
            };
            self.directory.insert_exec(row.id.clone(), row.container.clone());
            container.execs.insert(Exec::from(row));
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
    /// Starts the process; without a client its output is thrown away. Returns when it runs. It is started
    /// also when the caller does not wait for that.
    ///
    /// # Errors
    /// A program that cannot be run: its text is for the client's stream.
    pub async fn run(mut self, client: Option<ExecClient>) -> Result<(), Error> {
        let Some(start) = self.start.take() else { return Ok(()) };
        let shim = start.container.shim();
        let started = crate::outcome::finish(start.run(client));
        match shim {
            Some(shim) => shim.within(START_TIMEOUT, started).await.unwrap_or(Err(Error::ShimSilent)),
            None => started.await,
        }
    }
}

impl Drop for ExecSession {
    fn drop(&mut self) {
        if let Some(start) = self.start.take() {
            tokio::spawn(start.run(None));
        }
    }
}

impl ExecStart {
    async fn run(self, client: Option<ExecClient>) -> Result<(), Error> {
        let Self { execs, exec, container, .. } = &self;
        let record = container.record();
        let attributes = [("execID", exec.id.to_string())];
        let events = execs.events.before_a_row();
        events.emit_container(&record, EventAction::ExecStart(exec.command_line()), &attributes);
        let started = self.ask_shim(&record, client).await;
        match &started {
            Ok(pid) => {
                exec.note_start(*pid);
                container.execs.save(&exec.id, &execs.database);
            }
            // What never ran does not die.
            Err((_, code)) => drop(container.execs.note_end(&exec.id, *code, &execs.database)),
        }
        started.map(drop).map_err(|(error, _)| error)
    }

    /// Has the shim start the process; returns its number, or the exit code that an exec which did not start
    /// is shown with.
    async fn ask_shim(&self, record: &Record, client: Option<ExecClient>) -> Result<u32, (Error, i32)> {
        let Self { execs, exec, container, .. } = self;
        let config = &exec.config;
        let (socket, attach) = match client {
            None => (None, None),
            Some(client) => (Some(client.socket), Some(self.attachment(client.early_input))),
        };
        let environment = execs.environment(record, config).await;
        let request = shim_protocol::Exec {
            id: exec.id.clone(),
            process: ProcessSpec {
                terminal_size: self.options.console_size.or(config.console_size).unwrap_or_default(),
                ..process(record, config, &execs.options.ulimits, environment)
                    .map_err(|error| (error, CANNOT_RUN))?
            },
            privileged: config.privileged,
            attach,
        };
        let not_running = || Error::NotRunning(record.id.to_string());
        let shim = container.shim_of(&exec.id).ok_or_else(|| (not_running(), LOST))?;
        let request = Request::Exec(Box::new(request));
        match shim.request_without_limit(request, socket.as_ref().map(AsFd::as_fd)).await {
            Ok(Answer::ExecStarted { process }) => Ok(process.pid),
            Ok(_) => Ok(0),
            Err(error) => {
                let code = exit_code(&error);
                Err((error.of_running(record.id.as_str()), code))
            }
        }
    }

    fn attachment(&self, early_input: Vec<u8>) -> Attach {
        let config = &self.exec.config;
        let client = self.execs.clients.next();
        self.exec.note_client(client);
        let detach_keys = match (config.tty, config.detach_keys.as_slice()) {
            (false, _) => Vec::new(),
            (true, []) => DETACH_KEYS.to_vec(),
            (true, keys) => keys.to_vec(),
        };
        Attach {
            client,
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
            logs: false,
            stream: true,
            framed: !self.options.terminal,
            detach_keys,
            early_input,
            quiet: false,
        }
    }
}

/// The exit code of an exec that could not be started, as shells have it.
fn exit_code(error: &RequestError) -> i32 {
    match error {
        RequestError::Refused(failure) if failure.kind == FailureKind::ProgramNotFound => 127,
        RequestError::Refused(_) | RequestError::Unsendable(_) | RequestError::TooLong => CANNOT_RUN,
        RequestError::Gone | RequestError::Lost | RequestError::Silent => LOST,
    }
}

/// The process of an exec: the container's settings with the exec's own changes.
fn process(
    record: &Record,
    config: &ExecConfig,
    limits: &[Ulimit],
    environment: Vec<String>,
) -> Result<ProcessSpec, Error> {
    let host = &record.settings.host;
    let security = SecurityOptions::of(host)?;
    let capabilities = if config.privileged { capabilities::all() } else { capabilities::of(host) };
    let own = |own: &String, container: &String| if own.is_empty() { container.clone() } else { own.clone() };
    Ok(ProcessSpec {
        arguments: config.cmd.clone(),
        environment,
        working_directory: own(&config.working_dir, &record.settings.working_directory),
        user: own(&config.user, &record.settings.user),
        additional_groups: host.additional_groups.clone().unwrap_or_default(),
        groups_of_user: host.groups_of_user,
        terminal: config.tty,
        terminal_size: (0, 0),
        capabilities,
        no_new_privileges: security.no_new_privileges,
        resource_limits: resources::of_process(&host.resources, limits),
        oom_score_adjustment: specification::oom_score(host),
    })
}
