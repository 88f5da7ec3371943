//! Walks through the instructions, and cleans up after each.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use model::ContainerId;

use super::earlier::{EarlierStages, FinishedStage};
use super::stage::Stage;
use super::state::{Build, Parameters, StepContainer};
use crate::dockerfile::{Command, Dockerfile, Instruction, Transfer};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::identity::random_container;
use crate::order::Order;
use crate::request::Intermediate;
use crate::runner::{RunStep, StepKind, StepRunner};
use crate::wording::Wording;

impl Build<'_> {
    /// Runs every instruction; the last stage must make an image.
    ///
    /// # Errors
    /// [`BuildError`] of the first step that fails.
    pub(super) fn run(&mut self, dockerfile: &Dockerfile) -> Result<(), BuildError> {
        let total = dockerfile.instructions.len();
        for (number, instruction) in dockerfile.instructions.iter().enumerate() {
            self.check_cancelled()?;
            self.stream(self.work.parameters.wording.step(number, total, instruction));
            let result = self.step(instruction).and_then(|()| self.check_cancelled());
            if let Err(error) = result {
                return Err(self.give_up(error));
            }
            let wording = self.work.parameters.wording;
            if wording == Wording::Today {
                self.remove_containers();
            }
            let id = self.stage.as_ref().and_then(|stage| stage.image).map(|image| image.short());
            if self.stage.is_some() {
                self.stream(format!(" ---> {}\n", id.unwrap_or_default()));
            }
            if wording == Wording::Reference {
                self.remove_containers();
            }
        }
        self.show_stage(self.stage.as_ref());
        self.stage_ref()?.image.map(drop).ok_or(BuildError::NoImage)
    }

    fn step(&mut self, instruction: &Instruction) -> Result<(), BuildError> {
        match &instruction.command {
            Command::From { image, platform, stage } => {
                if let Some(stage) = self.stage.take() {
                    self.show_stage(Some(&stage));
                    if let EarlierStages::Built(stages) = &mut self.earlier {
                        stages.push(Arc::new(FinishedStage { name: stage.name.clone(), stage }));
                    }
                }
                let triggers = self.from(image, platform.as_deref(), stage.clone(), instruction.lines)?;
                self.run_triggers(&triggers)
            }
            command => self.dispatch(command),
        }
    }

    /// Names the image of a stage that is over.
    fn show_stage(&self, stage: Option<&Stage>) {
        if let (Wording::Today, Some(image)) =
            (self.work.parameters.wording, stage.and_then(|stage| stage.image))
        {
            self.work.session.events.send(BuildEvent::Stage(image));
        }
    }

    /// Runs an instruction within a stage.
    ///
    /// # Errors
    /// [`BuildError`] when the step fails.
    pub(super) fn dispatch(&mut self, command: &Command) -> Result<(), BuildError> {
        match command {
            Command::Run(line) => self.run_command(line),
            Command::Transfer(transfer) => {
                self.transfer(transfer).map_err(|error| self.named(error, transfer))
            }
            Command::Arg(arguments) => self.declare(arguments),
            Command::ChangeTree(change) => self.change_tree(change),
            other => self.change_metadata(other),
        }
    }

    /// An error of COPY or ADD, with the step where the words of errors name it.
    fn named(&self, error: BuildError, transfer: &Transfer) -> BuildError {
        let Parameters { order, wording, .. } = self.work.parameters;
        match (error, order, wording) {
            (BuildError::Transfer(source), Order::Written, Wording::Today) => BuildError::Copy {
                verb: transfer.verb.name(),
                reads_context: transfer.from.is_none(),
                source,
            },
            (error, ..) => error,
        }
    }

    /// The container of a step that runs no command: only its id exists, unless containers are
    /// kept.
    ///
    /// # Errors
    /// [`BuildError`] when no random bytes can be read, or the engine cannot make it.
    pub(super) fn step_container(&mut self, command: &[String]) -> Result<ContainerId, BuildError> {
        let image = self.stage_ref()?.image;
        let id = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
        if self.work.parameters.intermediate == Intermediate::Keep && image.is_some() {
            let config = self.container_config(command.to_vec())?;
            let host = self.work.parameters.host.clone();
            let kind = StepKind::Container;
            self.make_container(RunStep { id: id.clone(), image, config, host, kind })?;
        } else {
            self.containers.push(StepContainer { id: id.clone(), real: false, named: false });
        }
        Ok(id)
    }

    /// Makes the container of a step, and warns about limits that the host cannot enforce.
    ///
    /// # Errors
    /// [`BuildError`] when the engine cannot make it.
    pub(super) fn make_container(&mut self, step: RunStep) -> Result<(), BuildError> {
        let made = self.work.session.runner.create(&step)?;
        self.containers.push(StepContainer { id: step.id, real: true, named: false });
        for warning in made.warnings {
            self.remark(format!(" ---> [Warning] {warning}\n"));
        }
        Ok(())
    }

    /// Names the container that a step runs in.
    pub(super) fn name_container(&mut self, id: &ContainerId) {
        self.stream(format!(" ---> Running in {}\n", id.short()));
        if let Some(container) = self.containers.iter_mut().find(|container| container.id == *id) {
            container.named = true;
        }
    }

    /// Removes the step's containers unless they are to be kept.
    pub(super) fn remove_containers(&mut self) {
        for container in std::mem::take(&mut self.containers) {
            if self.work.parameters.intermediate == Intermediate::Keep {
                continue;
            }
            self.remove_container(container);
        }
    }

    /// Removes a container while the build continues.
    fn remove_container(&self, container: StepContainer) {
        let wording = self.work.parameters.wording;
        if container.named || wording == Wording::Reference {
            self.stream(wording.removed_container(container.id.short()));
        }
        if container.real {
            // The thread runs as long as the build.
            let _ = self.work.remover.send(container.id);
        }
    }

    /// Cleans up after a failed step and returns the build's error: a cancelled build leaves nothing,
    /// any other leaves the containers for inspection, unless the request wants them removed, or the image store
    /// has taken their files.
    pub(super) fn give_up(&mut self, error: BuildError) -> BuildError {
        let cancelled = self.work.session.cancellation.is_cancelled();
        let useless = cancelled || matches!(error, BuildError::Images(_));
        if useless || self.work.parameters.intermediate == Intermediate::Remove {
            for container in std::mem::take(&mut self.containers) {
                self.remove_container(container);
            }
        }
        if cancelled { BuildError::Cancelled } else { error }
    }
}

/// Removes containers as they come, until the sender is gone.
pub(super) fn remove_all(runner: &dyn StepRunner, containers: &Receiver<ContainerId>) {
    for container in containers {
        if let Err(error) = runner.remove(&container) {
            // The build has continued: the container stays in the list and can be removed by hand.
            tracing::warn!(%container, %error, "cannot remove an intermediate container");
        }
    }
}
