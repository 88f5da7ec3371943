//! Build checks: what works, but not as its author may think, or not for ever.

use std::collections::BTreeSet;

mod finding;
mod inputs;
mod rule;
mod stages;
mod text;
mod variables;

pub use finding::CheckWarning;
pub use inputs::{CheckInputs, Environment};
pub use rule::Rule;

use self::finding::{Checkable, Directive, Findings};

use super::lines;
use super::{Command, Dockerfile, DockerfileError};
use crate::order::Order;
use crate::wording::Wording;

/// The findings of checks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The findings, by line.
    pub warnings: Vec<CheckWarning>,
    /// `# check=error=true`: a finding fails the build.
    pub is_error: bool,
    /// Whether it is to be reported where an image is for another platform than the one that is wanted.
    pub reports_platforms: bool,
    /// What a build of it would fail with before anything runs.
    pub failure: Option<DockerfileError>,
}

impl Checked {
    /// The names of the rules that are broken, where that fails the build.
    #[must_use]
    pub fn violated(&self) -> Option<String> {
        let rules: BTreeSet<_> = self.warnings.iter().map(|warning| warning.rule.name()).collect();
        let names = || rules.iter().copied().collect::<Vec<_>>().join(", ");
        (self.is_error && !rules.is_empty()).then(names)
    }
}

/// Checks a Dockerfile by every rule that it does not leave out.
///
/// # Errors
/// [`DockerfileError`] when it is no Dockerfile.
pub fn check_dockerfile(bytes: &[u8], inputs: &CheckInputs<'_>) -> Result<Checked, DockerfileError> {
    let text = String::from_utf8_lossy(bytes);
    let physical = lines::physical(&text);
    let joined = lines::join(&physical, Order::Graph)?;
    let mut dockerfile = Dockerfile::parse(bytes, Wording::Today, Order::Graph)?;
    let (given, written) = (inputs.directive(), joined.check.as_deref());
    let directive = Directive::parse(given.or(written).unwrap_or_default()).map_err(|fault| {
        let place = if given.is_some() { "build-arg:BUILDKIT_DOCKERFILE_CHECK" } else { "check options" };
        DockerfileError::CheckOptions { place, fault }
    })?;
    let reports_platforms = directive.wants(Rule::InvalidBaseImagePlatform);
    let mut findings = Findings { directive, warnings: Vec::new() };
    let mut stages = 0_usize;
    let instructions = joined.lines.iter().zip(&dockerfile.instructions).map(|(line, instruction)| {
        stages += usize::from(matches!(instruction.command, Command::From { .. }));
        let number = stages.checked_sub(1);
        let is_built = number.zip(inputs.stages).is_none_or(|(number, built)| built.contains(&number));
        Checkable { line, instruction, is_built }
    });
    let instructions: Vec<_> = instructions.collect();
    text::check(&instructions, &physical, inputs.ignored, &mut findings);
    stages::check(&instructions, &mut findings);
    let blank = variables::check(&instructions, dockerfile.escape, inputs, &mut findings);
    let failure = dockerfile.stop_after(inputs.target, false).err().or(blank);
    findings.warnings.sort_by_key(|warning| (warning.lines, warning.rule));
    Ok(Checked {
        is_error: findings.directive.is_error,
        warnings: findings.warnings,
        reports_platforms,
        failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ignore::IgnorePatterns;

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
            ("FROM a\nRUN b \\\n\n c", "NoEmptyContinuation", 4, "Empty continuation line"),
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
            ("FROM a$tag", "UndefinedArgInFrom", 1, "FROM argument 'tag' is not declared"),
            (
                "FROM a\nWORKDIR b",
                "WorkdirRelativePath",
                2,
                "Relative workdir \"b\" can have unexpected results if the base image changes",
            ),
            (
                "FROM known\nLABEL b=$HOME$nothing",
                "UndefinedVar",
                2,
                "Usage of undefined variable '$nothing'",
            ),
            (
                "FROM known\nCOPY --chown=$HOMEX a /b",
                "UndefinedVar",
                2,
                "Usage of undefined variable '$HOMEX' (did you mean $HOME?)",
            ),
            (
                "FROM known\nRUN --mount=type=cache,target=$nothing true\nEXPOSE $port",
                "UndefinedVar",
                2,
                "Usage of undefined variable '$nothing'",
            ),
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
                "Comment for FROM should follow the format: `# b <description>`",
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
        assert_eq!((skipped.warnings.len(), skipped.is_error), (0, true));
        for (directive, fault) in [
            (
                "error=maybe;foo=bar",
                "failed to parse check option \"error=maybe\": strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            ("foo=bar", "invalid check option \"foo\""),
            ("error", "invalid check option \"error\""),
            ("Error=true", "invalid check option \"Error\""),
        ] {
            let text = format!("# check={directive}\nFROM a\n");
            let refused = check_dockerfile(text.as_bytes(), &CheckInputs::default()).expect_err(directive);
            assert_eq!(refused.to_string(), format!("failed to parse check options: {fault}"));
        }
        assert_eq!(check("# check=skip=all\nFROM a AS B\nCMD c\n").warnings, []);
        assert_eq!(check("# check=error=true\nFROM a AS B\n").warnings.len(), 1);
        assert_eq!(
            Rule::JSONArgsRecommended.url(),
            "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
        );
        assert_eq!(Rule::FromAsCasing.url(), "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
    }
}
