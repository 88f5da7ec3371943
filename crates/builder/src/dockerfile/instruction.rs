//! A Dockerfile's instructions, parsed but not yet run.

use crate::nearest::nearest;
use images::document::HealthCheck;

use super::copy_rules::CopyRules;
use super::error::DockerfileError;
use super::heredoc::HereDocument;
use super::tree_change::TreeChange;

/// A Dockerfile whose instructions have all been parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The instructions, in the file's order.
    pub(crate) instructions: Vec<Instruction>,
    /// The character that continues a line and escapes a variable.
    pub(crate) escape: char,
}

impl Dockerfile {
    /// Leaves out what comes after the stage of this name or number.
    ///
    /// # Errors
    /// [`DockerfileError::Target`] for an unknown stage; a graph finds them by their names alone.
    pub(crate) fn stop_after(
        &mut self,
        target: Option<&str>,
        takes_numbers: bool,
    ) -> Result<(), DockerfileError> {
        let Some(target) = target.filter(|target| !target.is_empty()) else { return Ok(()) };
        let mut stages = 0_usize;
        let mut inside = false;
        let mut end = None;
        for (index, instruction) in self.instructions.iter().enumerate() {
            let Command::From { stage, .. } = &instruction.command else { continue };
            if inside {
                end = Some(index);
                break;
            }
            let named = stage.as_deref().is_some_and(|stage| stage.eq_ignore_ascii_case(target));
            inside = named || (takes_numbers && target.parse() == Ok(stages));
            stages += 1;
        }
        if !inside {
            let names = self.stage_names().map(str::to_ascii_lowercase).collect::<Vec<_>>();
            let nearest = nearest(target, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(DockerfileError::Target { name: target.to_owned(), nearest });
        }
        self.instructions.truncate(end.unwrap_or(self.instructions.len()));
        Ok(())
    }

    /// The names of the stages that have one.
    fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.instructions.iter().filter_map(|instruction| match &instruction.command {
            Command::From { stage, .. } => stage.as_deref(),
            _ => None,
        })
    }

    /// The name of the target stage: as the request writes it, or else that of the last one, `default` where that has
    /// none.
    pub(crate) fn target_stage(&self, target: Option<&str>) -> String {
        if let Some(target) = target.filter(|target| !target.is_empty()) {
            return target.to_owned();
        }
        let mut stages =
            self.instructions.iter().rev().filter_map(|instruction| match &instruction.command {
                Command::From { stage, .. } => Some(stage.as_deref()),
                _ => None,
            });
        stages.next().flatten().unwrap_or("default").to_ascii_lowercase()
    }
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// How the stream's step line shows it: the name in upper case and the parsed words.
    pub(crate) shown: String,
    /// How it is written, its lines joined.
    pub(crate) written: String,
    /// Its command.
    pub(crate) command: Command,
    /// Its first and last physical line, from one; `None` for an instruction of no file.
    pub(crate) lines: Option<(usize, usize)>,
}

/// The command of an instruction, with its arguments before variables are substituted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    From {
        image: String,
        platform: Option<String>,
        stage: Option<String>,
    },
    Maintainer(String),
    Run(RunCommand),
    Cmd(CommandLine),
    Entrypoint(CommandLine),
    Label(Vec<(String, String)>),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    Volume(Vec<String>),
    User(String),
    Workdir(String),
    Transfer(Box<Transfer>),
    /// The trigger as it was written.
    OnBuild(String),
    StopSignal(String),
    Arg(Vec<Argument>),
    HealthCheck {
        check: HealthCheck,
        written: String,
    },
    Shell(Vec<String>),
    /// Of a graph of a client alone.
    ChangeTree(TreeChange),
}

/// A command in shell form or as a list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandLine {
    Shell(String),
    Exec(Vec<String>),
}

/// ADD or COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) verb: TransferVerb,
    pub(crate) sources: Vec<String>,
    pub(crate) destination: String,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<String>,
    /// `--from`: a stage, a context or an image.
    pub(crate) from: Option<String>,
    /// `--link`: the layer is independent of those below.
    pub(crate) is_linked: bool,
    /// `--parents`: directories of the sources are made at the destination.
    pub(crate) keeps_parents: bool,
    /// `--exclude`: what is left out of the sources.
    pub(crate) excludes: Vec<String>,
    pub(crate) checksum: Option<String>,
    /// `--keep-git-dir`.
    pub(crate) keeps_git: bool,
    /// `--unpack`: whether archives are unpacked; by itself ADD unpacks those that it need not download.
    pub(crate) unpacks: Option<bool>,
    /// The sources that are here-documents.
    pub(crate) documents: Vec<HereDocument>,
    pub(crate) rules: CopyRules,
}

/// RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunCommand {
    /// The command, with its here-documents.
    pub(crate) line: CommandLine,
    /// The here-document that is the whole command.
    pub(crate) script: Option<HereDocument>,
    /// The values of `--mount`, before variables are put in.
    pub(crate) mounts: Vec<String>,
    pub(crate) network: RunNetwork,
}

/// The network of a RUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunNetwork {
    /// The build's.
    Default,
    None,
    Host,
}

/// Which of the two a [`Transfer`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferVerb {
    Add,
    Copy,
}

impl TransferVerb {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Copy => "COPY",
        }
    }
}

/// One name that ARG declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) default: Option<String>,
}
