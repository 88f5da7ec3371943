//! The scope and the findings of a build check.

use super::super::lines::Line;
use super::super::{DockerfileError, Instruction};
use super::rule::Rule;

/// A finding of a build check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckWarning {
    /// The rule that is broken.
    pub rule: Rule,
    /// How.
    pub message: String,
    /// The lines of the Dockerfile, from one.
    pub lines: (usize, usize),
}

/// The value of `# check=`: `skip=A,B;error=true;experimental=C`.
#[derive(Default)]
pub(super) struct Directive {
    skipped: Vec<String>,
    experimental: Vec<String>,
    pub(super) is_error: bool,
}

impl Directive {
    /// Parses a directive.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut directive = Self::default();
        if text.is_empty() {
            return Ok(directive);
        }
        for part in text.split(';') {
            let unknown = |key: &str| format!("invalid check option {:?}", key.trim());
            let (key, value) = part.split_once('=').ok_or_else(|| unknown(part))?;
            let names = || value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
            match key.trim() {
                "skip" => directive.skipped = names(),
                "experimental" => directive.experimental = names(),
                "error" => directive.is_error = switch(part.trim(), value.trim())?,
                other => return Err(unknown(other)),
            }
        }
        Ok(directive)
    }

    pub(super) fn wants(&self, rule: Rule) -> bool {
        let has =
            |list: &[String]| list.iter().any(|name| name == "all" || name.eq_ignore_ascii_case(rule.name()));
        !has(&self.skipped) && (!rule.is_experimental() || has(&self.experimental))
    }
}

/// Parses a switch as Go's `strconv.ParseBool` does, and refuses one in its words.
fn switch(option: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(format!(
            "failed to parse check option {option:?}: strconv.ParseBool: parsing {other:?}: invalid syntax"
        )),
    }
}

/// Findings under way.
pub(super) struct Findings {
    pub(super) directive: Directive,
    pub(super) warnings: Vec<CheckWarning>,
}

impl Findings {
    pub(super) fn add(&mut self, rule: Rule, lines: (usize, usize), message: impl Into<String>) {
        if self.directive.wants(rule) {
            self.warnings.push(CheckWarning { rule, message: message.into(), lines });
        }
    }
}

/// An instruction with the text that it was made of.
pub(super) struct Checkable<'a> {
    pub(super) line: &'a Line,
    pub(super) instruction: &'a Instruction,
    /// Whether it stands in a stage that is built, or before the first one.
    pub(super) is_built: bool,
}

impl Checkable<'_> {
    /// The lines that it stands on.
    pub(super) fn lines(&self) -> (usize, usize) {
        (self.line.number, self.line.next)
    }

    /// An error with the line that it is on.
    pub(super) fn placed(&self, error: DockerfileError) -> DockerfileError {
        DockerfileError::Line { number: self.line.number, error: Box::new(error) }
    }

    /// The instruction's name as it is written.
    pub(super) fn keyword(&self) -> &str {
        self.line.text.split_whitespace().next().unwrap_or_default()
    }
}
