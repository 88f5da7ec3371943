//! Build checks: what works, but not as its author may think, or not for ever.

mod rule;
mod stages;
mod text;
mod variables;

use std::collections::BTreeMap;

pub use rule::Rule;

use super::lines::{self, Line};
use super::{Dockerfile, DockerfileError, Instruction};
use crate::ignore::IgnorePatterns;
use crate::wording::Wording;

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

/// Gives the environment of an image by its name, where it is known.
pub type Environment<'a> = dyn Fn(&str) -> Option<Vec<String>> + 'a;

/// What checks look at beside the Dockerfile.
#[derive(Default)]
pub struct CheckInputs<'a> {
    /// The request's values of ARG.
    pub arguments: BTreeMap<String, Option<String>>,
    /// What is left out of the context.
    pub ignored: Option<&'a IgnorePatterns>,
    /// The environment of an image by its name, where it is known.
    pub environment: Option<&'a Environment<'a>>,
    /// `BUILDKIT_DOCKERFILE_CHECK`: stands in the place of the file's directive.
    pub directive: Option<String>,
}

impl std::fmt::Debug for CheckInputs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("CheckInputs");
        shown.field("arguments", &self.arguments).field("directive", &self.directive).finish_non_exhaustive()
    }
}

/// What checks found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The findings, by line.
    pub warnings: Vec<CheckWarning>,
    /// `# check=error=true`: a finding fails the build.
    pub is_error: bool,
}

/// The value of `# check=`: `skip=A,B;error=true;experimental=C`.
#[derive(Default)]
struct Directive {
    skipped: Vec<String>,
    experimental: Vec<String>,
    is_error: bool,
}

impl Directive {
    fn parse(text: &str) -> Self {
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
struct Findings {
    directive: Directive,
    warnings: Vec<CheckWarning>,
}

impl Findings {
    fn add(&mut self, rule: Rule, lines: (usize, usize), message: impl Into<String>) {
        if self.directive.wants(rule) {
            self.warnings.push(CheckWarning { rule, message: message.into(), lines });
        }
    }
}

/// An instruction with the text that it was made of.
struct Checkable<'a> {
    line: &'a Line,
    instruction: &'a Instruction,
}

impl Checkable<'_> {
    /// The lines that it stands on.
    fn lines(&self) -> (usize, usize) {
        (self.line.number, self.line.next)
    }

    /// The instruction's name as it is written.
    fn keyword(&self) -> &str {
        self.line.text.split_whitespace().next().unwrap_or_default()
    }
}

/// Checks a Dockerfile by every rule that it does not leave out.
///
/// # Errors
/// [`DockerfileError`] when it is no Dockerfile.
pub fn check_dockerfile(bytes: &[u8], inputs: &CheckInputs<'_>) -> Result<Checked, DockerfileError> {
    let text = String::from_utf8_lossy(bytes);
    let physical = lines::physical(&text);
    let joined = lines::join(&physical)?;
    let dockerfile = Dockerfile::parse(bytes, Wording::Today)?;
    let directive = inputs.directive.as_deref().or(joined.check.as_deref()).unwrap_or_default();
    let mut findings = Findings { directive: Directive::parse(directive), warnings: Vec::new() };
    let instructions = joined.lines.iter().zip(&dockerfile.instructions);
    let instructions: Vec<_> =
        instructions.map(|(line, instruction)| Checkable { line, instruction }).collect();
    text::check(&instructions, &physical, inputs.ignored, &mut findings);
    stages::check(&instructions, &mut findings);
    variables::check(&instructions, dockerfile.escape, inputs, &mut findings);
    findings.warnings.sort_by_key(|warning| (warning.lines, warning.rule));
    Ok(Checked { is_error: findings.directive.is_error, warnings: findings.warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&'static str, usize, String)> {
        let ignored = IgnorePatterns::of(["hidden*"]).expect("patterns");
        let environment = |image: &str| (image == "known").then(|| vec!["HOME=/".to_owned()]);
        let inputs = CheckInputs {
            ignored: Some(&ignored),
            environment: Some(&environment),
            ..CheckInputs::default()
        };
        let checked = check_dockerfile(text.as_bytes(), &inputs).expect("a Dockerfile");
        checked.warnings.into_iter().map(|found| (found.rule.name(), found.lines.0, found.message)).collect()
    }

    #[test]
    fn each_rule_finds_what_breaks_it_and_nothing_else() {
        for (text, rule, line, message) in [
            ("FROM a AS Base", "StageNameCasing", 1, "Stage name 'Base' should be lowercase"),
            ("FROM a as base", "FromAsCasing", 1, "'as' and 'FROM' keywords' casing do not match"),
            (
                "FROM a\nRUN b \\\n\n c",
                "NoEmptyContinuation",
                2,
                "Empty continuation line found in: RUN b  c",
            ),
            (
                "FROM a\nUSER b\nrun c",
                "ConsistentInstructionCasing",
                3,
                "Command 'run' should match the case of the command majority (uppercase)",
            ),
            (
                "FROM a AS b\nFROM c AS b",
                "DuplicateStageName",
                2,
                "Duplicate stage name \"b\", stage names should be unique",
            ),
            (
                "FROM a AS scratch",
                "ReservedStageName",
                1,
                "Stage name should not use the same name as reserved stage \"scratch\"",
            ),
            (
                "FROM a\nCMD b",
                "JSONArgsRecommended",
                2,
                "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            ),
            (
                "FROM a\nMAINTAINER b",
                "MaintainerDeprecated",
                2,
                "Maintainer instruction is deprecated in favor of using label",
            ),
            ("FROM a:$tag", "UndefinedArgInFrom", 1, "FROM argument 'tag' is not declared"),
            (
                "FROM a\nWORKDIR b",
                "WorkdirRelativePath",
                2,
                "Relative workdir \"b\" can have unexpected results if the base image changes",
            ),
            ("FROM known\nLABEL b=$HOME$nope", "UndefinedVar", 2, "Usage of undefined variable '$nope'"),
            (
                "FROM a\nCMD [\"b\"]\nCMD [\"c\"]",
                "MultipleInstructionsDisallowed",
                2,
                "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            ),
            (
                "FROM a\nENV b c",
                "LegacyKeyValueFormat",
                2,
                "\"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
            ),
            (
                "FROM --platform=$TARGETPLATFORM a",
                "RedundantTargetPlatform",
                1,
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            ),
            (
                "FROM a\nARG db_password",
                "SecretsUsedInArgOrEnv",
                2,
                "Do not use ARG or ENV instructions for sensitive data (ARG \"db_password\")",
            ),
            (
                "ARG tag\nFROM a:$tag",
                "InvalidDefaultArgInFrom",
                2,
                "Default value for ARG a:$tag results in empty or invalid base image name",
            ),
            (
                "FROM --platform=linux/amd64 a",
                "FromPlatformFlagConstDisallowed",
                1,
                "FROM --platform flag should not use constant value \"linux/amd64\"",
            ),
            (
                "FROM a\nCOPY hidden.txt /b",
                "CopyIgnoredFile",
                2,
                "Attempting to Copy file \"hidden.txt\" that is excluded by .dockerignore",
            ),
            (
                "# check=experimental=all\n# other text\nFROM a AS b",
                "InvalidDefinitionDescription",
                3,
                "Comment for build stage should follow the format: `# b <description>`",
            ),
            (
                "FROM a\nEXPOSE 80/TCP",
                "ExposeProtoCasing",
                2,
                "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
            ),
            (
                "FROM a\nEXPOSE 1.2.3.4:80:80",
                "ExposeInvalidFormat",
                2,
                "EXPOSE instruction should not define an IP address or host-port mapping, found '1.2.3.4:80:80'",
            ),
        ] {
            assert_eq!(found(text), [(rule, line, message.to_owned())], "{text}");
        }
        let clean = "ARG tag=1\nFROM a:$tag AS base\nARG x\nENV y=$x z=${none:-}\nSHELL [\"sh\", \"-c\"]\nCMD run\n\
            WORKDIR /a\nWORKDIR b\nCOPY f hidden/../f /c/\nEXPOSE 80 90/udp\nENV PUBLIC_KEY=1\n\
            FROM --platform=$BUILDPLATFORM unknown\nLABEL a=$PATH b=$whatever\nUSER c\nFROM base\nLABEL z=$y\n";
        assert_eq!(found(clean), []);
    }

    #[test]
    fn directives_choose_rules() {
        let check =
            |text: &str| check_dockerfile(text.as_bytes(), &CheckInputs::default()).expect("a Dockerfile");
        let skipped =
            check("# check=skip=JSONArgsRecommended,stagenamecasing;error=true\nFROM a AS B\nCMD c\n");
        assert_eq!(skipped, Checked { warnings: Vec::new(), is_error: true });
        assert_eq!(check("# check=skip=all\nFROM a AS B\nCMD c\n").warnings, []);
        assert_eq!(check("# check=error=true\nFROM a AS B\n").warnings.len(), 1);
        assert_eq!(
            Rule::JSONArgsRecommended.url(),
            "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
        );
        assert_eq!(Rule::FromAsCasing.url(), "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
    }
}
