//! The instructions that change only an image's configuration: no container, no layer.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use model::{EmptyObject, Signal, StringOrList};

use super::Build;
use super::quote::quoted_list;
use crate::dockerfile::{Command, CommandLine, DockerfileError, expand_words, parse_ports};
use crate::error::BuildError;

impl Build<'_> {
    /// Changes the configuration as an instruction says and commits it.
    ///
    /// # Errors
    /// [`BuildError`] when a word cannot be expanded, or the step cannot be committed.
    pub(super) fn change_metadata(&mut self, command: &Command) -> Result<(), BuildError> {
        let comment = match command {
            Command::Maintainer(author) => {
                self.stage()?.author.clone_from(author);
                format!("MAINTAINER {author}")
            }
            Command::Cmd(line) => self.cmd(line)?,
            Command::Entrypoint(line) => self.entrypoint(line)?,
            Command::Env(pairs) => self.env(pairs)?,
            Command::Label(pairs) => self.label(pairs)?,
            Command::Expose(words) => self.expose(words)?,
            Command::Volume(words) => self.volume(words)?,
            Command::User(word) => {
                let user = self.expand(word)?;
                self.stage()?.config.user.clone_from(&user);
                format!("USER [{user}]")
            }
            Command::Workdir(word) => self.workdir(word)?,
            Command::OnBuild(trigger) => {
                self.stage()?.config.on_build.get_or_insert_default().push(trigger.clone());
                format!("ONBUILD {trigger}")
            }
            Command::StopSignal(word) => {
                let signal = self.expand(word)?;
                Signal::parse(&signal).map_err(|_| DockerfileError::Signal(signal.clone()))?;
                self.stage()?.config.stop_signal.clone_from(&signal);
                format!("STOPSIGNAL {signal}")
            }
            Command::HealthCheck { check, written } => {
                self.stage()?.config.healthcheck = Some(check.clone());
                format!("HEALTHCHECK {written}")
            }
            Command::Shell(words) => {
                self.stage()?.config.shell = Some(words.clone());
                format!("SHELL [{}]", words.join(" "))
            }
            // These have steps of their own.
            Command::From { .. } | Command::Run(_) | Command::Transfer(_) | Command::Arg(_) => return Ok(()),
        };
        self.commit_metadata(&comment)
    }

    fn cmd(&mut self, line: &CommandLine) -> Result<String, BuildError> {
        let stage = self.stage()?;
        let words = match line {
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) if text.is_empty() => stage.shell(),
            CommandLine::Shell(text) => [stage.shell(), vec![text.clone()]].concat(),
        };
        let comment = format!("CMD {}", quoted_list(&words));
        stage.config.cmd = Some(StringOrList(words));
        stage.cmd_set = true;
        Ok(comment)
    }

    fn entrypoint(&mut self, line: &CommandLine) -> Result<String, BuildError> {
        let stage = self.stage()?;
        let words = match line {
            CommandLine::Exec(words) => Some(words.clone()),
            CommandLine::Shell(text) if text.is_empty() => None,
            CommandLine::Shell(text) => Some([stage.shell(), vec![text.clone()]].concat()),
        };
        let comment = format!("ENTRYPOINT {}", quoted_list(words.as_deref().unwrap_or_default()));
        stage.config.entrypoint = words.map(StringOrList);
        if !stage.cmd_set {
            stage.config.cmd = None;
        }
        Ok(comment)
    }

    /// Expands pairs; all of them with the variables before the instruction.
    fn expand_pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, BuildError> {
        pairs.iter().map(|(name, value)| Ok((self.expand(name)?, self.expand(value)?))).collect()
    }

    fn env(&mut self, pairs: &[(String, String)]) -> Result<String, BuildError> {
        let pairs = self.expand_pairs(pairs)?;
        let stage = self.stage()?;
        for (name, value) in &pairs {
            stage.set_variable(name, value);
        }
        Ok(format!("ENV {}", joined(&pairs)))
    }

    fn label(&mut self, pairs: &[(String, String)]) -> Result<String, BuildError> {
        let pairs = self.expand_pairs(pairs)?;
        let comment = format!("LABEL {}", joined(&pairs));
        self.stage()?.config.labels.get_or_insert_default().extend(pairs);
        Ok(comment)
    }

    fn expose(&mut self, words: &[String]) -> Result<String, BuildError> {
        let mut ports = BTreeMap::new();
        for word in words {
            for word in expand_words(word, self.escape, &self.stage_ref()?.variables())? {
                ports.extend(parse_ports(&word)?.into_iter().map(|port| (port, EmptyObject {})));
            }
        }
        let names: Vec<_> = ports.keys().map(String::as_str).collect();
        let comment = format!("EXPOSE {}", names.join(" "));
        self.stage()?.config.exposed_ports.get_or_insert_default().extend(ports);
        Ok(comment)
    }

    fn volume(&mut self, words: &[String]) -> Result<String, BuildError> {
        let volumes = self.expand_all(words)?;
        if volumes.iter().any(|volume| volume.trim().is_empty()) {
            return Err(DockerfileError::EmptyVolume.into());
        }
        let comment = format!("VOLUME [{}]", volumes.join(" "));
        let known = self.stage()?.config.volumes.get_or_insert_default();
        known.extend(volumes.into_iter().map(|volume| (volume, EmptyObject {})));
        Ok(comment)
    }

    fn workdir(&mut self, word: &str) -> Result<String, BuildError> {
        let path = self.expand(word)?;
        let stage = self.stage()?;
        stage.config.working_dir = absolute(&stage.config.working_dir, &path);
        Ok(format!("WORKDIR {}", stage.config.working_dir))
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// A path read from a working directory; one that is absolute stays as it is written.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut joined = PathBuf::from("/");
    for component in Path::new(directory).join(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::ParentDir => drop(joined.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    joined.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn working_directories() {
        for (directory, path, want) in [
            ("", "/a/b", "/a/b"),
            ("/x", "/a/", "/a/"),
            ("", "a", "/a"),
            ("/a", "b", "/a/b"),
            ("/a/b", "../c", "/a/c"),
            ("/a", "../../..", "/"),
            ("/a", ".", "/a"),
            ("/a/", "b/", "/a/b"),
        ] {
            assert_eq!(absolute(directory, path), want, "{directory} {path}");
        }
    }
}
