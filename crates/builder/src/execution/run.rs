//! RUN: a command in a container of its own.

use std::thread;

use images::Layer;
use images::document::{Config, StringOrList};
use model::{ContainerId, HostSettings, NetworkMode, Ulimit};

use super::commit::{Change, LayerInputs, Name};
use super::declare::RunArguments;
use super::mounts::{StepMounts, script_path};
use super::output::Output;
use super::state::{Build, Session};
use crate::dockerfile::{CommandLine, DockerfileError, HereDocument, RunCommand, RunNetwork};
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::identity::random_container;
use crate::order::Order;
use crate::request::Intermediate;
use crate::runner::{OutputStream, RunStep, StartFailure, StepError, StepKind};

/// The exit code of a command that does not begin.
const CANNOT_BEGIN: i64 = 1;

impl Build<'_> {
    /// Runs a command and commits what it changed, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when the command fails, or cannot be run.
    pub(super) fn run_command(&mut self, run: &RunCommand) -> Result<(), BuildError> {
        self.check_network(run.network)?;
        let Words { shown, written, run: words } = self.words(run)?;
        let arguments = self.run_arguments()?;
        let mounts = self.plan_mounts(run)?;
        let mut settings: Vec<String> = mounts.iter().map(|mount| mount.key.clone()).collect();
        settings.extend(run.network.flag().map(str::to_owned));
        let name = self.run_name(run, &arguments, settings, (&shown, &written))?;
        let Some(_turn) = self.probe(&name)? else { return Ok(()) };
        let script = run.script.as_ref().filter(|script| is_program(script));
        let mounts = self.make_mounts(&mounts, script)?;
        let variables = [arguments.visible, arguments.predefined, mounts.variables.clone()].concat();
        let host = self.host(run.network, &mounts);
        let container = self.create_container(&words, variables, host)?;
        let layer = self.execute_for_layer(&container, &shown)?;
        drop(mounts);
        self.commit(Change { name, container: &container, layer: Some(layer) })
    }

    /// Runs the command in a container and makes a layer of what it changed.
    fn execute_for_layer(&self, container: &ContainerId, shown: &[String]) -> Result<Layer, BuildError> {
        let (store, below) = (&self.work.builder.store, self.stage_ref()?.directories());
        let changes = || {
            self.check_cancelled()?;
            Ok::<_, BuildError>(self.work.session.runner.changes(container)?)
        };
        if self.work.parameters.intermediate == Intermediate::Keep {
            self.execute(container, shown)?;
            return Ok(store.copy_layer(&changes()?, &below)?);
        }
        let place = thread::scope(|scope| {
            let preparing =
                thread::Builder::new().name("layer".to_owned()).spawn_scoped(scope, || store.prepare_layer());
            self.execute(container, shown)?;
            // A thread that was not to be had, or is lost, has made nothing.
            let prepared = preparing.ok().and_then(|preparing| preparing.join().ok());
            Ok::<_, BuildError>(prepared.unwrap_or_else(|| store.prepare_layer())?)
        })?;
        Ok(store.adopt_layer_into(place, &changes()?, &below)?.finish()?)
    }

    /// The network of the host requires the client's permission.
    fn check_network(&self, network: RunNetwork) -> Result<(), BuildError> {
        let parameters = &self.work.parameters;
        let is_allowed = parameters.allows_host_network || parameters.host.network_mode == NetworkMode::Host;
        if network == RunNetwork::Host && !is_allowed { Err(BuildError::HostNetwork) } else { Ok(()) }
    }

    /// A RUN in the cache and the history.
    fn run_name(
        &self,
        run: &RunCommand,
        arguments: &RunArguments,
        settings: Vec<String>,
        (shown, written): (&[String], &[String]),
    ) -> Result<Name, BuildError> {
        // The same text may be an argument of the shell, or a program with an interpreter of its own.
        let is_program = run.script.as_ref().is_some_and(is_program);
        let inputs = Some(self.run_inputs(is_program, arguments, &settings, shown)?);
        let command = with_arguments(&arguments.visible, &[settings, shown.to_vec()].concat());
        if self.work.parameters.order == Order::Written {
            return Ok(Name { inputs, ..Name::of(command) });
        }
        let history = with_arguments(&arguments.shown, written).join(" ");
        let history = Some(format!("RUN {history} # buildkit"));
        let verb = if is_program { "RUN #!" } else { "RUN" };
        let command = [vec![verb.to_owned()], self.surroundings(), command].concat();
        Ok(Name { command, history, inputs })
    }

    /// The dependencies of a RUN's layer: all that its command can see.
    fn run_inputs(
        &self,
        is_program: bool,
        arguments: &RunArguments,
        settings: &[String],
        shown: &[String],
    ) -> Result<LayerInputs, BuildError> {
        let Config { user, working_dir, env, volumes, .. } = self.stage_ref()?.seen_config();
        let seen = (user, working_dir, env.unwrap_or_default(), &arguments.visible);
        // What is written into a volume is lost, but in a graph.
        let volumes = volumes.filter(|_| self.work.parameters.order == Order::Written);
        let volumes: Vec<_> = volumes.into_iter().flatten().map(|(volume, _)| volume).collect();
        let words = ("RUN", is_program, shown);
        let step = serde_json::to_string(&(words, settings, self.surroundings(), seen, volumes))?;
        Ok(LayerInputs { step, is_placed: true })
    }

    /// The request's settings of the network of all steps, and in a graph of their limits, as far as commands see
    /// them.
    fn surroundings(&self) -> Vec<String> {
        let host = &self.work.parameters.host;
        let mut seen = Vec::new();
        if host.network_mode != NetworkMode::default() {
            seen.push(format!("--network={}", host.network_mode));
        }
        seen.extend(host.extra_hosts.iter().flatten().map(|host| format!("--add-host={host}")));
        if self.work.parameters.order == Order::Graph {
            seen.extend((host.shm_size != 0).then(|| format!("--shm-size={}", host.shm_size)));
            let ulimits = host.resources.ulimits.iter().flatten().flatten();
            seen.extend(ulimits.map(|Ulimit { name, soft, hard }| format!("--ulimit={name}={soft}:{hard}")));
        }
        seen
    }

    /// The command of a RUN, and its form in the history.
    fn words(&self, run: &RunCommand) -> Result<Words, BuildError> {
        let shell =
            |text: &str| Ok::<_, BuildError>([self.stage_ref()?.shell(), vec![text.to_owned()]].concat());
        let shown = match (&run.script, &run.line) {
            (Some(script), _) => shell(&script.content)?,
            (None, CommandLine::Exec(words)) if words.is_empty() => self.inherited_command()?,
            (None, CommandLine::Exec(words)) => words.clone(),
            (None, CommandLine::Shell(text)) => shell(text)?,
        };
        let program = run.script.as_ref().filter(|script| is_program(script));
        let written = match (program, &run.script, &run.line) {
            (Some(script), _, _) => shell(&script_path(script))?,
            (None, None, CommandLine::Shell(text)) => shell(text.trim_end_matches('\n'))?,
            _ => shown.clone(),
        };
        let run = program.map_or_else(|| shown.clone(), |script| vec![script_path(script)]);
        Ok(Words { shown, written, run })
    }

    /// The limits, the network and the mounts of a step's container.
    fn host(&self, network: RunNetwork, mounts: &StepMounts) -> HostSettings {
        let mut host = self.work.parameters.host.clone();
        match network {
            RunNetwork::Default => {}
            RunNetwork::None => host.network_mode = NetworkMode::None,
            RunNetwork::Host => host.network_mode = NetworkMode::Host,
        }
        if !mounts.requests.is_empty() {
            host.mounts.get_or_insert_default().extend(mounts.requests.iter().cloned());
        }
        host
    }

    /// The image's command, which `RUN []` runs.
    fn inherited_command(&self) -> Result<Vec<String>, BuildError> {
        let command = self.stage_ref()?.config.cmd.clone().map(|command| command.0).unwrap_or_default();
        if command.is_empty() { Err(DockerfileError::NoCommand.into()) } else { Ok(command) }
    }

    fn create_container(
        &mut self,
        words: &[String],
        variables: Vec<String>,
        host: HostSettings,
    ) -> Result<ContainerId, BuildError> {
        let stage = self.stage_ref()?;
        let mut config = Config {
            cmd: Some(StringOrList(words.to_vec())),
            entrypoint: None,
            attach_stdout: true,
            attach_stderr: true,
            ..stage.config.clone()
        };
        let environment = config.env.get_or_insert_default();
        if self.work.parameters.order == Order::Graph {
            config.hostname = self.arguments.hostname();
            (config.volumes, config.healthcheck) = (None, None);
            // A name alone keeps the variable of that name out, unless the image sets it.
            environment.insert(0, "HOSTNAME".to_owned());
        }
        environment.extend(variables);
        let container = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
        // Recorded first: whenever this process ends, the next one finds it.
        self.work.scratch.note_container(&container).map_err(BuildError::file("note", container.as_str()))?;
        let image = self.stage_ref()?.image;
        let kind = match self.work.parameters.order {
            Order::Written => StepKind::Container,
            Order::Graph => StepKind::Sandbox,
        };
        self.make_container(RunStep { id: container.clone(), image, config, host, kind })?;
        self.name_container(&container);
        Ok(container)
    }

    fn execute(&self, container: &ContainerId, words: &[String]) -> Result<(), BuildError> {
        let Session { runner, events, cancellation, .. } = self.work.session;
        let mut output = Output::new(events);
        let is_graph = self.vertex.is_some();
        let mut write = |stream, bytes: &[u8]| {
            if is_graph {
                self.report(VertexChange::Output { stream, bytes: bytes.to_vec() });
            } else {
                output.write(stream, bytes);
            }
        };
        let code = runner.run(container, &mut write, cancellation);
        output.finish();
        let code = match code {
            Err(error) if is_graph => self.not_begun(error, words)?,
            code => code?,
        };
        match code {
            0 => Ok(()),
            code if is_graph => Err(BuildError::Process { command: words.join(" "), code }),
            code => Err(BuildError::Command { command: words.join(" "), code }),
        }
    }
}

impl Build<'_> {
    /// The exit code of a command of a graph whose program cannot be run, which its output says.
    ///
    /// # Errors
    /// [`BuildError`] where something else is missing.
    fn not_begun(&self, error: StepError, words: &[String]) -> Result<i64, BuildError> {
        match error.start {
            Some(StartFailure::Program(cause)) => {
                let bytes = format!("unable to start container process: {cause}\n").into_bytes();
                self.report(VertexChange::Output { stream: OutputStream::Stderr, bytes });
                Ok(CANNOT_BEGIN)
            }
            Some(StartFailure::Surroundings(cause)) => {
                Err(BuildError::NotBegun { command: words.join(" "), cause })
            }
            None => Err(error.into()),
        }
    }
}

/// The words of a command.
struct Words {
    /// For the cache, and the history of classic builds.
    shown: Vec<String>,
    /// For the history of a graph.
    written: Vec<String>,
    /// The container's command.
    run: Vec<String>,
}

/// Whether a script names its interpreter, execve(2).
fn is_program(script: &HereDocument) -> bool {
    script.content.starts_with("#!")
}

impl RunNetwork {
    /// The flag for the cache.
    const fn flag(self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::None => Some("--network=none"),
            Self::Host => Some("--network=host"),
        }
    }
}

/// The command for the cache: with the arguments that it could see before it.
fn with_arguments(arguments: &[String], words: &[String]) -> Vec<String> {
    if arguments.is_empty() {
        return words.to_vec();
    }
    let count = [format!("|{}", arguments.len())];
    count.iter().chain(arguments).chain(words).cloned().collect()
}
