//! `changes` of commit and import: Dockerfile instructions that only change a configuration.

use images::document::Config;

use super::stage::Stage;
use crate::dockerfile::{Command, parse_change};
use crate::error::BuildError;
use crate::wording::Wording;

/// The instructions that API v1.20 takes as changes.
const ALLOWED: [&str; 9] =
    ["cmd", "entrypoint", "env", "expose", "label", "onbuild", "user", "volume", "workdir"];

/// The instructions that current engines accept in addition.
const ALLOWED_TODAY: [&str; 2] = ["healthcheck", "stopsignal"];

/// Backslash, the escape of Dockerfiles without a directive.
const ESCAPE: char = '\\';

/// Applies instructions to a configuration, in order.
///
/// # Errors
/// [`BuildError`] in the reference's words when one is not allowed here or malformed.
pub fn apply_changes(config: Config, changes: &[String], wording: Wording) -> Result<Config, BuildError> {
    let mut stage = Stage { config, ..Stage::default() };
    for line in changes.iter().flat_map(|change| change.lines()).filter(|line| !line.trim().is_empty()) {
        let command = parse(line, wording)?;
        stage.apply(&command, ESCAPE)?;
    }
    Ok(stage.config)
}

fn parse(line: &str, wording: Wording) -> Result<Command, BuildError> {
    let written = line.split_whitespace().next().unwrap_or_default();
    let name = written.to_ascii_lowercase();
    let is_of_today = wording == Wording::Today;
    let is_allowed = ALLOWED.contains(&&*name) || is_of_today && ALLOWED_TODAY.contains(&&*name);
    if !is_allowed {
        return Err(BuildError::NotAChange(if is_of_today { written.to_owned() } else { name }));
    }
    Ok(parse_change(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(changes: &[&str]) -> Result<Config, BuildError> {
        apply_in(Wording::Reference, changes)
    }

    fn apply_in(wording: Wording, changes: &[&str]) -> Result<Config, BuildError> {
        let changes: Vec<_> = changes.iter().map(|change| (*change).to_owned()).collect();
        apply_changes(Config::default(), &changes, wording)
    }

    #[test]
    fn instructions_change_the_configuration() {
        let config =
            apply(&["ENV A=1 B=2", "USER me", "WORKDIR /a", "WORKDIR b", "EXPOSE 80", "CMD [\"x\"]"])
                .unwrap();
        assert_eq!(config.env.unwrap(), ["A=1", "B=2"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("me", "/a/b"));
        assert_eq!(config.cmd.unwrap().0, ["x"]);
        assert!(config.exposed_ports.unwrap().contains_key("80/tcp"));
    }

    #[test]
    fn others_are_refused() {
        for (change, text) in [
            ("RUN x", "run is not a valid change command"),
            ("FOO x", "foo is not a valid change command"),
            ("STOPSIGNAL 9", "stopsignal is not a valid change command"),
            ("ENV a", "ENV must have two arguments"),
        ] {
            assert_eq!(apply(&[change]).unwrap_err().to_string(), text);
        }
        for (change, text) in [
            ("RUN x", "RUN is not a valid change command"),
            ("EXPOSE abc", "invalid containerPort: abc"),
            ("STOPSIGNAL foo", "invalid signal: foo"),
        ] {
            let error = apply_in(Wording::Today, &[change]).unwrap_err();
            assert_eq!(error.text(Wording::Today), text);
        }
    }

    #[test]
    fn engines_of_today_take_further_ones() {
        let config = apply_in(Wording::Today, &["STOPSIGNAL 9", "HEALTHCHECK NONE"]).unwrap();
        assert_eq!(config.stop_signal, "9");
        assert_eq!(config.healthcheck.unwrap().test.unwrap(), ["NONE"]);
    }
}
