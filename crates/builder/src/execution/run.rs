//! RUN: a command in a container of its own.

use images::document::{Config, StringOrList};
use model::ContainerId;

use super::commit::Change;
use super::output::Output;
use super::state::{Build, Session};
use crate::dockerfile::{CommandLine, DockerfileError};
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::request::Intermediate;
use crate::runner::RunStep;

impl Build<'_> {
    /// Runs a command and commits what it changed, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when the command fails, or cannot be run.
    pub(super) fn run_command(&mut self, line: &CommandLine) -> Result<(), BuildError> {
        let words = match line {
            CommandLine::Exec(words) if words.is_empty() => self.inherited_command()?,
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) => [self.stage_ref()?.shell(), vec![text.clone()]].concat(),
        };
        let (arguments, predefined) = self.run_arguments()?;
        let command = with_arguments(&arguments, &words);
        let Some(_turn) = self.probe(&command)? else { return Ok(()) };
        let container = self.create_container(&words, [arguments, predefined].concat())?;
        self.execute(&container, &words)?;
        self.check_cancelled()?;
        let changes = self.work.session.runner.changes(&container)?;
        let (store, below) = (&self.work.builder.store, self.stage_ref()?.directories());
        let layer = match self.work.parameters.intermediate {
            Intermediate::Keep => store.copy_layer(&changes, &below)?,
            Intermediate::Remove | Intermediate::RemoveOnSuccess => {
                store.adopt_layer(&changes, &below)?.finish()?
            }
        };
        self.commit(Change { command, container: &container, layer: Some(layer) })
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
    ) -> Result<ContainerId, BuildError> {
        let stage = self.stage_ref()?;
        let mut config = Config {
            cmd: Some(StringOrList(words.to_vec())),
            entrypoint: None,
            attach_stdout: true,
            attach_stderr: true,
            ..stage.config.clone()
        };
        config.env.get_or_insert_default().extend(variables);
        let step = RunStep { image: stage.image, config, host: self.work.parameters.host.clone() };
        let container = self.make_container(&step)?;
        self.work.scratch.note_container(&container).map_err(BuildError::file("note", container.as_str()))?;
        self.say(format!(" ---> Running in {}\n", container.short()));
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
        match code? {
            0 => Ok(()),
            code => Err(BuildError::Command { command: words.join(" "), code }),
        }
    }
}

/// The command as the cache knows it: with the arguments that it could see before it.
fn with_arguments(arguments: &[String], words: &[String]) -> Vec<String> {
    if arguments.is_empty() {
        return words.to_vec();
    }
    let count = [format!("|{}", arguments.len())];
    count.iter().chain(arguments).chain(words).cloned().collect()
}
