//! Checks of how instructions are written, each by itself.

use super::finding::{Checkable, Findings};
use super::rule::Rule;
use crate::dockerfile::Command;
use crate::ignore::IgnorePatterns;

/// Words in the name of a variable that holds a secret, as Docker's documentation lists them.
const SECRETS: [&str; 11] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
    "pwd",
];

pub(super) fn check(
    instructions: &[Checkable<'_>],
    physical: &[&str],
    ignored: Option<&IgnorePatterns>,
    findings: &mut Findings,
) {
    check_casing(instructions, findings);
    for checkable in instructions {
        let lines = checkable.lines();
        if checkable.line.has_gap {
            findings.add(Rule::NoEmptyContinuation, (lines.1, lines.1), "Empty continuation line");
        }
        match &checkable.instruction.command {
            Command::Maintainer(_) => {
                let message = "Maintainer instruction is deprecated in favor of using label";
                findings.add(Rule::MaintainerDeprecated, lines, message);
            }
            // The others are judged as far as they are built.
            _ if !checkable.is_built => {}
            Command::Env(pairs) => {
                check_format(checkable, findings);
                pairs.iter().for_each(|(name, _)| check_secret("ENV", name, lines, findings));
            }
            Command::Label(_) => check_format(checkable, findings),
            Command::Arg(arguments) => {
                for argument in arguments {
                    check_secret("ARG", &argument.name, lines, findings);
                    check_description("ARG", &argument.name, checkable, physical, findings);
                }
            }
            Command::From { stage: Some(stage), .. } => {
                check_description("FROM", stage, checkable, physical, findings);
            }
            Command::Expose(words) => words.iter().for_each(|word| check_port(word, lines, findings)),
            Command::Transfer(transfer) if transfer.from.is_none() => {
                for source in &transfer.sources {
                    let path = source.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
                    let is_plain =
                        !path.is_empty() && !path.contains(['$', '*', '?', '[']) && !path.contains("..");
                    if is_plain && ignored.is_some_and(|ignored| ignored.excludes(path)) {
                        let message =
                            format!("Attempting to Copy file {source:?} that is excluded by .dockerignore");
                        findings.add(Rule::CopyIgnoredFile, lines, message);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Instructions that are written in other letters than most.
fn check_casing(instructions: &[Checkable<'_>], findings: &mut Findings) {
    let is = |keyword: &str, upper: bool| {
        keyword
            .chars()
            .all(|letter| if upper { letter.is_ascii_uppercase() } else { letter.is_ascii_lowercase() })
    };
    let count = |upper| instructions.iter().filter(|checkable| is(checkable.keyword(), upper)).count();
    let is_upper = count(true) >= count(false);
    let majority = if is_upper { "uppercase" } else { "lowercase" };
    for checkable in instructions.iter().filter(|checkable| !is(checkable.keyword(), is_upper)) {
        let keyword = checkable.keyword();
        let message =
            format!("Command '{keyword}' should match the case of the command majority ({majority})");
        findings.add(Rule::ConsistentInstructionCasing, checkable.lines(), message);
    }
}

fn check_format(checkable: &Checkable<'_>, findings: &mut Findings) {
    let name = checkable.keyword();
    let mut words = checkable.line.text.split_whitespace();
    if words.nth(1).is_some_and(|first| !first.contains('=')) {
        let message =
            format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
        findings.add(Rule::LegacyKeyValueFormat, checkable.lines(), message);
    }
}

fn check_secret(kind: &str, name: &str, lines: (usize, usize), findings: &mut Findings) {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(|mark: char| !mark.is_ascii_alphanumeric());
    if !lower.contains("public") && words.any(|word| SECRETS.contains(&word)) {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({kind} {name:?})");
        findings.add(Rule::SecretsUsedInArgOrEnv, lines, message);
    }
}

/// A comment right before an argument or a stage describes it, and begins with its name.
fn check_description(
    kind: &str,
    name: &str,
    checkable: &Checkable<'_>,
    physical: &[&str],
    findings: &mut Findings,
) {
    let before = checkable.line.number.checked_sub(2).and_then(|index| physical.get(index));
    let Some(comment) = before.and_then(|line| line.trim().strip_prefix('#')) else { return };
    let first = comment.split_whitespace().next().unwrap_or_default();
    if !first.is_empty() && !first.contains('=') && !first.eq_ignore_ascii_case(name) {
        let message = format!("Comment for {kind} should follow the format: `# {name} <description>`");
        findings.add(Rule::InvalidDefinitionDescription, checkable.lines(), message);
    }
}

fn check_port(word: &str, lines: (usize, usize), findings: &mut Findings) {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, ""));
    if protocol.contains(|letter: char| letter.is_ascii_uppercase()) && !protocol.contains('$') {
        let message = format!("Defined protocol '{word}' in EXPOSE instruction should be lowercase");
        findings.add(Rule::ExposeProtoCasing, lines, message);
    }
    if ports.contains(':') && !ports.contains('$') {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
        );
        findings.add(Rule::ExposeInvalidFormat, lines, message);
    }
}
