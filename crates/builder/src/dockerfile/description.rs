//! How clients of a graph see an instruction: as it is written, with the values of its variables.

#[cfg(test)]
mod tests;

use std::cell::Cell;

use super::expand::{Keeps, Variables, expand_keeping};
use super::quotes::unclosed;
use super::{Command, DockerfileError, Instruction};

/// Longer ones, in bytes, are shown as they are written.
const LONGEST: usize = 4096;

impl Instruction {
    /// The description for clients. The names of unset variables stay, and all of a malformed text.
    pub(crate) fn description(&self, escape: char, variables: &dyn Variables) -> String {
        if let Command::ChangeTree(_) = self.command {
            return self.shown.clone();
        }
        let (verb, rest) = self.written.split_at(self.written.find(char::is_whitespace).unwrap_or_default());
        let mut text = format!("{}{rest}", verb.to_ascii_uppercase());
        if let Command::Run(run) = &self.command
            && let Some(script) = &run.script
        {
            text.push_str(&summary(&script.content));
        }
        let keeps = Keeps { quotes: matches!(self.command, Command::Run(_)), unset: true };
        if text.len() > LONGEST || unclosed(&text, escape).is_some() {
            return text;
        }
        let bounded = Bounded { variables, left: Cell::new(LONGEST) };
        expand_keeping(&text, escape, &bounded, keeps).unwrap_or(text)
    }
}

/// The first line of a here-document that is a script.
fn summary(content: &str) -> String {
    let mut lines = content.trim().lines();
    let first = lines.next().unwrap_or_default();
    format!(" ({first}{})", if lines.next().is_some() { "..." } else { "" })
}

/// What stands for the value of a secret.
const MASK: &str = "****";

/// Variables of which some are secrets, whose values nobody sees.
pub(crate) struct MaskedVariables<'a> {
    pub(crate) variables: &'a dyn Variables,
    pub(crate) names: Vec<String>,
}

impl Variables for MaskedVariables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        if self.names.iter().any(|secret| secret == name) { Some(MASK) } else { self.variables.value(name) }
    }

    fn count(&self, value: &str) -> Result<(), DockerfileError> {
        self.variables.count(value)
    }

    fn has_special(&self) -> bool {
        self.variables.has_special()
    }
}

/// Variables whose values are substituted up to a length, and that do not include the shell's own parameters.
struct Bounded<'a> {
    variables: &'a dyn Variables,
    left: Cell<usize>,
}

impl Variables for Bounded<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.variables.value(name)
    }

    fn count(&self, value: &str) -> Result<(), DockerfileError> {
        let left = self.left.get().checked_sub(value.len());
        self.left.set(left.ok_or(DockerfileError::TooMuchSubstituted(LONGEST))?);
        Ok(())
    }
}
