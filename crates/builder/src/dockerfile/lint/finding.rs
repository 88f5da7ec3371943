//! The scope and the findings of a build check.

use super::super::Instruction;
use super::super::lines::Line;
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
    pub(super) fn parse(text: &str) -> Self {
        let mut directive = Self::default();
        for part in text.split(';') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let names = || value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
            match key.trim().to_ascii_lowercase().as_str() {
                "skip" => directive.skipped = names(),
                "experimental" => directive.experimental = names(),
                "error" => directive.is_error = value.trim().eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        directive
    }

    fn wants(&self, rule: Rule) -> bool {
        let has =
            |list: &[String]| list.iter().any(|name| name == "all" || name.eq_ignore_ascii_case(rule.name()));
        !has(&self.skipped) && (!rule.is_experimental() || has(&self.experimental))
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
}

impl Checkable<'_> {
    /// The lines that it stands on.
    pub(super) fn lines(&self) -> (usize, usize) {
        (self.line.number, self.line.next)
    }

    /// The instruction's name as it is written.
    pub(super) fn keyword(&self) -> &str {
        self.line.text.split_whitespace().next().unwrap_or_default()
    }
}
