//! `changes` of commit and import: Dockerfile instructions that only change a configuration.

use images::document::Config;

use super::stage::Stage;
use crate::dockerfile::{Command, parse_change};
use crate::error::BuildError;

/// The instructions that API v1.20 takes as changes.
const ALLOWED: [&str; 9] =
    ["cmd", "entrypoint", "env", "expose", "label", "onbuild", "user", "volume", "workdir"];

/// Backslash, the escape of Dockerfiles without a directive.
const ESCAPE: char = '\\';

/// Applies instructions to a configuration, in order.
///
/// # Errors
/// [`BuildError`] in the reference's words when one is not allowed here or malformed.
pub fn apply_changes(config: Config, changes: &[String]) -> Result<Config, BuildError> {
    let mut stage = Stage { config, ..Stage::default() };
    for line in changes.iter().flat_map(|change| change.lines()).filter(|line| !line.trim().is_empty()) {
        let command = parse(line)?;
        stage.apply(&command, ESCAPE)?;
    }
    Ok(stage.config)
}

fn parse(line: &str) -> Result<Command, BuildError> {
    let name = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if !ALLOWED.contains(&name.as_str()) {
        return Err(BuildError::NotAChange(name));
    }
    Ok(parse_change(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(changes: &[&str]) -> Result<Config, BuildError> {
        apply_changes(
            Config::default(),
            &changes.iter().map(|change| (*change).to_owned()).collect::<Vec<_>>(),
        )
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
    }
}
