//! The instructions that change only an image's configuration: no container, no layer.

use std::path::Path;

use images::document::{EmptyObject, HealthCheck, StringOrList};
use model::{Signal, clean};

use super::commit::{Change, LayerInputs, Name};
use super::quote::{go_duration, quoted_list};
use super::stage::Stage;
use super::state::Build;
use crate::dockerfile::{Command, CommandLine, DockerfileError, count_ports, expand_words, parse_ports};
use crate::error::BuildError;
use crate::order::Order;
use crate::transfer::TransferError;
use crate::tree::{
    MakeDirectories, Metadata, Modified, Owner, Position, Reached, Stop, TreeError, Upper, View, Walk,
};
use crate::wording::Wording;

/// The cache's part of WORKDIR that is not in its history: whether it makes the directory.
const MAKES_DIRECTORY: &str = "makes the directory";

impl Build<'_> {
    /// Applies an instruction to the configuration and commits it.
    ///
    /// # Errors
    /// [`BuildError`] when a word cannot be expanded, or the step cannot be committed.
    pub(super) fn change_metadata(&mut self, command: &Command) -> Result<(), BuildError> {
        let escape = self.work.escape;
        let Some(comment) = self.stage()?.apply(command, escape)? else { return Ok(()) };
        if matches!(command, Command::Volume(_)) {
            self.check_volumes()?;
        }
        let makes_directory = matches!(command, Command::Workdir(_)) && self.lacks_working_directory()?;
        if makes_directory {
            return self.make_working_directory(&comment);
        }
        let mut name = match command {
            Command::Workdir(_) => self.working_directory_name(&comment)?,
            _ => self.metadata_name(&comment)?,
        };
        if self.work.parameters.order == Order::Graph && matches!(command, Command::OnBuild(_)) {
            name.history = None;
        }
        self.commit_metadata(name)
    }

    /// Adds the labels of a request to the image of a graph: its history does not show them.
    ///
    /// # Errors
    /// [`BuildError`] when the step cannot be committed.
    pub(super) fn add_labels(&mut self, labels: &Command) -> Result<(), BuildError> {
        let escape = self.work.escape;
        let Some(comment) = self.stage()?.apply(labels, escape)? else { return Ok(()) };
        let name = Name { history: None, ..self.metadata_name(&comment)? };
        self.commit_metadata(name)
    }

    /// Whether the step has to make the working directory: so since 1.24, for stages that copy from this one. A graph
    /// has a layer for each but the root.
    fn lacks_working_directory(&self) -> Result<bool, BuildError> {
        let stage = self.stage_ref()?;
        if self.work.parameters.order == Order::Graph {
            return Ok(clean(&stage.config.working_dir) != Path::new("/"));
        }
        if self.work.parameters.wording == Wording::Reference {
            return Ok(false);
        }
        let view = View::new(stage.directories());
        let path = clean(&stage.config.working_dir);
        match Walk::new(&path).run(&Position::root(&view), &mut Stop)? {
            Reached::Missing(..) => Ok(true),
            // What is no directory is found by the first command.
            Reached::Directory(_) | Reached::Node(..) => Ok(false),
        }
    }

    /// Commits a layer with the working directory, unless an image of it is there.
    fn make_working_directory(&mut self, comment: &str) -> Result<(), BuildError> {
        let mut name = self.working_directory_name(comment)?;
        let order = self.work.parameters.order;
        name.command.push(match order {
            // Distinguished from steps of earlier versions, which made no directory.
            Order::Written => MAKES_DIRECTORY.to_owned(),
            Order::Graph => self.stage_ref()?.config.user.clone(),
        });
        let Owner { user, group } = match order {
            Order::Written => Owner::default(),
            Order::Graph => self.user_of_steps()?,
        };
        let epoch = self.epoch()?;
        let path = clean(&self.stage_ref()?.config.working_dir);
        let seconds = epoch.map(|epoch| epoch.unix_seconds());
        let step = serde_json::to_string(&("WORKDIR", path.to_string_lossy(), user, group, seconds))?;
        name.inputs = Some(LayerInputs { step, is_placed: true });
        let Some(_turn) = self.probe(&name)? else { return Ok(()) };
        let lower = self.stage_ref()?.directories();
        let root = self.scratch_path("upper");
        let mut upper = Upper::create(root.clone(), &lower)?;
        let start = Position::root(upper.view());
        let modified = epoch.map(|epoch| Modified { seconds: epoch.unix_seconds(), nanoseconds: 0 });
        let metadata = Metadata { modified, ..Metadata::new_directory(user, group) };
        let mut make = MakeDirectories { upper: &mut upper, metadata, last: true };
        let made = Walk::new(&path).run(&start, &mut make);
        if order == Order::Graph {
            match made.map_err(|error| error.in_graph(&path))? {
                Reached::Directory(_) => {}
                Reached::Node(..) | Reached::Missing(..) => return Err(TreeError::NotDirectory(path).into()),
            }
        } else {
            made?;
        }
        upper.finish()?;
        let layer = self.work.builder.store.adopt_layer(&root, &lower)?.finish()?;
        let container = self.step_container(&name.command)?;
        self.name_container(&container);
        self.commit(Change { name, container: &container, layer: Some(layer) })
    }

    /// The name of WORKDIR, which has no further blank in the current texts, as the steps that copy files.
    fn working_directory_name(&self, comment: &str) -> Result<Name, BuildError> {
        match self.work.parameters.order {
            Order::Written => Ok(Name::of(self.no_operation(comment)?)),
            Order::Graph => self.metadata_name(comment),
        }
    }

    /// The user of commands; root where the image does not have the user, which the first command reports.
    fn user_of_steps(&self) -> Result<Owner, BuildError> {
        let user = &self.stage_ref()?.config.user;
        if user.is_empty() {
            return Ok(Owner::default());
        }
        match self.account(user) {
            Err(BuildError::Transfer(TransferError::Tree(TreeError::UnknownAccount { .. }))) => {
                Ok(Owner::default())
            }
            found => found,
        }
    }

    /// Refuses a volume at the path of a file: no container of the image could mount it.
    fn check_volumes(&self) -> Result<(), BuildError> {
        let stage = self.stage_ref()?;
        let view = View::new(stage.directories());
        for volume in stage.config.volumes.iter().flatten().map(|(volume, _)| volume) {
            let path = clean(volume);
            let reached = Walk::new(&path).run(&Position::root(&view), &mut Stop);
            match reached {
                Ok(Reached::Node(..)) | Err(TreeError::NotDirectory(_)) => {
                    return Err(BuildError::VolumeOverFile(volume.clone()));
                }
                Ok(Reached::Directory(_) | Reached::Missing(..)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Stage {
    /// Applies an instruction to the configuration and returns the instruction as histories show
    /// it; `None` for the instructions that have steps of their own.
    ///
    /// # Errors
    /// [`BuildError::Dockerfile`] when a word cannot be expanded or used.
    pub(super) fn apply(&mut self, command: &Command, escape: char) -> Result<Option<String>, BuildError> {
        let comment = match command {
            Command::Maintainer(author) => {
                self.author.clone_from(author);
                format!("MAINTAINER {author}")
            }
            Command::Cmd(line) => self.cmd(line),
            Command::Entrypoint(line) => self.entrypoint(line),
            Command::Env(pairs) => self.env(pairs, escape)?,
            Command::Label(pairs) => self.label(pairs, escape)?,
            Command::Expose(words) => self.expose(words, escape)?,
            Command::Volume(words) => self.volume(words, escape)?,
            Command::User(word) => {
                let user = self.expand(word, escape)?;
                self.config.user.clone_from(&user);
                match (self.order, self.wording) {
                    (Order::Written, Wording::Reference) => format!("USER [{user}]"),
                    (Order::Graph, _) | (Order::Written, Wording::Today) => format!("USER {user}"),
                }
            }
            Command::Workdir(word) => {
                let path = self.expand(word, escape)?;
                self.config.working_dir = working_directory(&self.config.working_dir, &path);
                format!("WORKDIR {}", self.config.working_dir)
            }
            Command::OnBuild(trigger) => {
                self.config.on_build.get_or_insert_default().push(trigger.clone());
                format!("ONBUILD {trigger}")
            }
            Command::StopSignal(word) => {
                let signal = self.expand(word, escape)?;
                Signal::parse(&signal).map_err(|_| DockerfileError::Signal(signal.clone()))?;
                self.config.stop_signal.clone_from(&signal);
                format!("STOPSIGNAL {signal}")
            }
            Command::HealthCheck { check, written } => {
                self.config.healthcheck = Some(check.clone());
                match (self.order, self.wording) {
                    (Order::Graph, _) => format!("HEALTHCHECK {}", shown_check(check)),
                    (Order::Written, Wording::Today) => format!("HEALTHCHECK &{}", shown_check(check)),
                    (Order::Written, Wording::Reference) => format!("HEALTHCHECK {written}"),
                }
            }
            Command::Shell(words) => {
                self.config.shell = Some(words.clone());
                format!("SHELL [{}]", words.join(" "))
            }
            Command::From { .. }
            | Command::Run(_)
            | Command::Transfer(_)
            | Command::Arg(_)
            | Command::ChangeTree(_) => return Ok(None),
        };
        Ok(Some(comment))
    }

    fn expand(&self, word: &str, escape: char) -> Result<String, DockerfileError> {
        crate::dockerfile::expand(word, escape, &self.variables())
    }

    fn cmd(&mut self, line: &CommandLine) -> String {
        let words = match line {
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) if text.is_empty() && self.order == Order::Written => self.shell(),
            CommandLine::Shell(text) => [self.shell(), vec![text.clone()]].concat(),
        };
        let comment = format!("CMD {}", quoted_list(&words));
        self.config.cmd = Some(StringOrList(words));
        self.config.args_escaped |= self.order == Order::Graph;
        self.cmd_set = true;
        comment
    }

    fn entrypoint(&mut self, line: &CommandLine) -> String {
        let words = match line {
            CommandLine::Exec(words) => Some(words.clone()),
            CommandLine::Shell(text) if text.is_empty() && self.order == Order::Written => None,
            CommandLine::Shell(text) => Some([self.shell(), vec![text.clone()]].concat()),
        };
        let comment = format!("ENTRYPOINT {}", quoted_list(words.as_deref().unwrap_or_default()));
        self.config.entrypoint = words.map(StringOrList);
        if !self.cmd_set {
            self.config.cmd = None;
        }
        comment
    }

    /// Expands pairs; all of them with the variables before the instruction.
    fn expand_pairs(
        &self,
        verb: &'static str,
        pairs: &[(String, String)],
        escape: char,
    ) -> Result<Vec<(String, String)>, DockerfileError> {
        let expand = |(name, value): &(String, String)| {
            let name = self.expand(name, escape)?;
            if name.is_empty() {
                return Err(DockerfileError::BlankName(verb));
            }
            Ok((name, self.expand(value, escape)?))
        };
        pairs.iter().map(expand).collect()
    }

    fn env(&mut self, pairs: &[(String, String)], escape: char) -> Result<String, DockerfileError> {
        let pairs = self.expand_pairs("ENV", pairs, escape)?;
        for (name, value) in &pairs {
            self.set_variable(name, value)?;
        }
        Ok(format!("ENV {}", joined(&pairs)))
    }

    fn label(&mut self, pairs: &[(String, String)], escape: char) -> Result<String, DockerfileError> {
        let pairs = self.expand_pairs("LABEL", pairs, escape)?;
        let comment = format!("LABEL {}", joined(&pairs));
        self.config.labels.get_or_insert_default().extend(pairs);
        Ok(comment)
    }

    fn expose(&mut self, words: &[String], escape: char) -> Result<String, DockerfileError> {
        let mut words: Vec<&String> = words.iter().collect();
        if (self.order, self.wording) != (Order::Written, Wording::Reference) {
            words.sort_unstable();
        }
        let (mut ports, mut written) = (Vec::new(), Vec::new());
        for word in words {
            for word in expand_words(word, escape, &self.variables())? {
                count_ports(&word, ports.len())?;
                ports.extend(parse_ports(&word)?);
                written.push(word);
            }
        }
        let comment = match (self.order, self.wording) {
            (Order::Graph, _) => format!("EXPOSE [{}]", ports.join(" ")),
            (Order::Written, Wording::Today) => format!("EXPOSE {}", written.join(" ")),
            (Order::Written, Wording::Reference) => {
                ports.sort_unstable();
                ports.dedup();
                format!("EXPOSE {}", ports.join(" "))
            }
        };
        let exposed = self.config.exposed_ports.get_or_insert_default();
        exposed.extend(ports.into_iter().map(|port| (port, EmptyObject {})));
        Ok(comment)
    }

    fn volume(&mut self, words: &[String], escape: char) -> Result<String, DockerfileError> {
        let expand = |word: &String| self.expand(word, escape);
        let volumes = words.iter().map(expand).collect::<Result<Vec<_>, _>>()?;
        if volumes.iter().any(|volume| volume.trim().is_empty()) {
            return Err(DockerfileError::EmptyVolume);
        }
        let comment = format!("VOLUME [{}]", volumes.join(" "));
        let known = self.config.volumes.get_or_insert_default();
        known.extend(volumes.into_iter().map(|volume| (volume, EmptyObject {})));
        Ok(comment)
    }
}

/// A check as the history of a graph shows it.
fn shown_check(check: &HealthCheck) -> String {
    format!(
        "{{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        check.test.as_deref().unwrap_or_default().join(" "),
        go_duration(check.interval),
        go_duration(check.timeout),
        go_duration(check.start_period),
        go_duration(check.start_interval),
        check.retries
    )
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// A working directory read from the one before; one that is absolute stays as it is written.
fn working_directory(before: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { absolute(before, path) }
}

/// A path read from a working directory and cleaned by its text, before any symbolic link in it is followed.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    clean(&path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{absolute, working_directory};

    #[test]
    fn working_directories() {
        for (directory, path, want) in [
            ("", "/a/b", "/a/b"),
            ("/x", "/a/", "/a/"),
            ("/x", "/l/../c", "/l/../c"),
            ("", "a", "/a"),
            ("/a", "b", "/a/b"),
            ("/a/b", "../c", "/a/c"),
            ("/a", "../../..", "/"),
            ("/a", ".", "/a"),
            ("/a/", "b/", "/a/b"),
        ] {
            assert_eq!(working_directory(directory, path), want, "{directory} {path}");
        }
    }

    #[test]
    fn destinations_are_cleaned_by_their_text() {
        for (directory, path, want) in
            [("/x", "/l/../g", "/g"), ("/l/..", "g/./h/", "/g/h"), ("/", "/../..", "/"), ("", "..", "/")]
        {
            assert_eq!(absolute(directory, path), want, "{directory} {path}");
        }
    }
}
