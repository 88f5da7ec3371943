//! Checks of stages: their names, and what stands in one twice.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Checkable, Findings};
use super::rule::Rule;
use crate::dockerfile::{Command, CommandLine};

/// Names that no stage should have.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// The instructions of a stage so far.
#[derive(Default)]
struct Stage {
    has_shell: bool,
    has_absolute_directory: bool,
    /// The instructions of which only the last one counts.
    last: BTreeMap<&'static str, (usize, usize)>,
}

pub(super) fn check(instructions: &[Checkable<'_>], findings: &mut Findings) {
    let mut names = BTreeSet::new();
    // The stages with an absolute working directory: others may begin with them.
    let mut with_directory = BTreeSet::new();
    let mut stage = Stage::default();
    let mut name = None;
    for checkable in instructions {
        let lines = checkable.lines();
        match &checkable.instruction.command {
            Command::From { image, platform, stage: own } => {
                with_directory.extend(name.take().filter(|_| stage.has_absolute_directory));
                let image = image.to_ascii_lowercase();
                stage = Stage { has_absolute_directory: with_directory.contains(&image), ..Stage::default() };
                check_from(checkable, findings);
                check_platform(platform.as_deref(), lines, findings);
                if let Some(own) = own {
                    if RESERVED.contains(&own.as_str()) {
                        let message =
                            format!("Stage name should not use the same name as reserved stage {own:?}");
                        findings.add(Rule::ReservedStageName, lines, message);
                    }
                    if !names.insert(own.clone()) {
                        let message = format!("Duplicate stage name {own:?}, stage names should be unique");
                        findings.add(Rule::DuplicateStageName, lines, message);
                    }
                }
                name.clone_from(own);
            }
            // The others are judged as far as they are built.
            _ if !checkable.is_built => {}
            Command::Shell(_) => stage.has_shell = true,
            Command::Workdir(path) if path.starts_with(['/', '$']) => stage.has_absolute_directory = true,
            Command::Workdir(path) if !stage.has_absolute_directory => {
                let message = format!(
                    "Relative workdir {path:?} can have unexpected results if the base image changes"
                );
                findings.add(Rule::WorkdirRelativePath, lines, message);
            }
            Command::Cmd(line) => stage.command("CMD", Some(line), lines, findings),
            Command::Entrypoint(line) => stage.command("ENTRYPOINT", Some(line), lines, findings),
            Command::HealthCheck { .. } => stage.command("HEALTHCHECK", None, lines, findings),
            _ => {}
        }
    }
}

impl Stage {
    /// Checks an instruction of which only the last one counts.
    fn command(
        &mut self,
        name: &'static str,
        line: Option<&CommandLine>,
        lines: (usize, usize),
        findings: &mut Findings,
    ) {
        if matches!(line, Some(CommandLine::Shell(text)) if !text.is_empty()) && !self.has_shell {
            let message = format!(
                "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
            );
            findings.add(Rule::JSONArgsRecommended, lines, message);
        }
        if let Some(before) = self.last.insert(name, lines) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            findings.add(Rule::MultipleInstructionsDisallowed, before, message);
        }
    }
}

/// Checks how a stage's name and the words around it are written.
fn check_from(checkable: &Checkable<'_>, findings: &mut Findings) {
    let lines = checkable.lines();
    let words: Vec<&str> =
        checkable.line.text.split_whitespace().filter(|word| !word.starts_with("--")).collect();
    let [from, _, keyword, name] = words.as_slice() else { return };
    if name.contains(|letter: char| letter.is_ascii_uppercase()) {
        findings.add(Rule::StageNameCasing, lines, format!("Stage name '{name}' should be lowercase"));
    }
    let is_upper = |word: &str| word.chars().all(|letter| letter.is_ascii_uppercase());
    let is_lower = |word: &str| word.chars().all(|letter| letter.is_ascii_lowercase());
    if (is_upper(from) && !is_upper(keyword)) || (is_lower(from) && !is_lower(keyword)) {
        let message = format!("'{keyword}' and '{from}' keywords' casing do not match");
        findings.add(Rule::FromAsCasing, lines, message);
    }
}

fn check_platform(platform: Option<&str>, lines: (usize, usize), findings: &mut Findings) {
    let Some(platform) = platform else { return };
    if matches!(platform, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!(
            "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
        );
        findings.add(Rule::RedundantTargetPlatform, lines, message);
    }
    if !platform.contains('$') {
        let message = format!("FROM --platform flag should not use constant value {platform:?}");
        findings.add(Rule::FromPlatformFlagConstDisallowed, lines, message);
    }
}
