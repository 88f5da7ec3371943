//! Makes instructions of a Dockerfile's lines.

use std::collections::BTreeMap;

use super::error::INSTRUCTION_LIMIT;
use super::flags::{Flags, Takes};
use super::heredoc::HereDocument;
use super::{
    Argument, Command, CommandLine, Dockerfile, DockerfileError, Instruction, TransferVerb, TreeChange,
    flags, health, json, lines, run, transfer, words,
};
use crate::order::Order;
use crate::wording::Wording;

/// Parses every line of a Dockerfile, each for itself. `changes` are those of a graph that was written as one.
///
/// # Errors
/// [`DockerfileError`] for the first line that is wrong.
pub(super) fn parse(
    bytes: &[u8],
    wording: Wording,
    order: Order,
    changes: Option<&[TreeChange]>,
) -> Result<Dockerfile, DockerfileError> {
    let text = String::from_utf8_lossy(bytes);
    let physical = lines::physical(&text);
    let joined = lines::join(&physical, order)?;
    if joined.lines.len() > INSTRUCTION_LIMIT {
        return Err(DockerfileError::TooManyInstructions);
    }
    let copy_flags = if changes.is_some() { transfer::GRAPH_COPY_FLAGS } else { transfer::COPY_FLAGS };
    let mut instructions = Vec::with_capacity(joined.lines.len());
    for line in joined.lines {
        let lines = (line.number, line.next);
        let parsed = match changes.and_then(|changes| parse_tree_change(&line.text, changes)) {
            Some(change) => change,
            None => parse_with(&line.text, line.documents, joined.escape, copy_flags),
        };
        let instruction = parsed.map_err(|error| match wording {
            Wording::Reference => error,
            Wording::Today => DockerfileError::Line { number: lines.0, error: Box::new(error) },
        })?;
        instructions.push(Instruction { lines: Some(lines), ..instruction });
    }
    Ok(Dockerfile { instructions, escape: joined.escape })
}

/// Parses `CHANGE` with the number of a change; `None` for another instruction.
fn parse_tree_change(text: &str, changes: &[TreeChange]) -> Option<Result<Instruction, DockerfileError>> {
    let number = text.strip_prefix("CHANGE ")?;
    let change = number.parse().ok().and_then(|number: usize| changes.get(number)).cloned();
    let unknown = || DockerfileError::UnknownInstruction(text.to_owned());
    Some(change.ok_or_else(unknown).map(|change| Instruction {
        shown: change.to_string(),
        written: text.to_owned(),
        command: Command::ChangeTree(change),
        lines: None,
    }))
}

/// Parses a trigger that an image carries.
///
/// # Errors
/// [`DockerfileError`] when it is no instruction, or one that a trigger cannot be.
pub(crate) fn parse_trigger(text: &str) -> Result<Instruction, DockerfileError> {
    let instruction = parse_instruction(text.trim(), Vec::new(), '\\')?;
    // The image has the instruction's name in small letters, and so has the refusal.
    check_trigger(&instruction).map_err(|error| match error {
        DockerfileError::ForbiddenTrigger(name) => DockerfileError::ForbiddenTrigger(name.to_lowercase()),
        other => other,
    })?;
    Ok(instruction)
}

/// Parses one instruction by itself.
///
/// # Errors
/// [`DockerfileError`] when it is not a valid Dockerfile.
pub(crate) fn parse_change(text: &str) -> Result<Command, DockerfileError> {
    parse_instruction(text.trim(), Vec::new(), '\\').map(|instruction| instruction.command)
}

/// Adds a LABEL instruction with the labels of the request.
pub(crate) fn append_labels(dockerfile: &mut Dockerfile, labels: &BTreeMap<String, String>) {
    if labels.is_empty() {
        return;
    }
    let quote = |text: &String| format!("'{}'", text.replace('\'', "'\"'\"'"));
    let pairs: Vec<_> = labels.iter().map(|(name, value)| (quote(name), quote(value))).collect();
    let shown = labels.iter().map(|(name, value)| format!(" {name} {value}")).collect::<String>();
    let written = labels.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    dockerfile.instructions.push(Instruction {
        shown: format!("LABEL{shown}"),
        written: format!("LABEL{written}"),
        command: Command::Label(pairs),
        lines: None,
    });
}

fn parse_instruction(
    text: &str,
    documents: Vec<HereDocument>,
    escape: char,
) -> Result<Instruction, DockerfileError> {
    parse_with(text, documents, escape, transfer::COPY_FLAGS)
}

fn parse_with(
    text: &str,
    documents: Vec<HereDocument>,
    escape: char,
    copy_flags: &[flags::Known],
) -> Result<Instruction, DockerfileError> {
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let verb = verb.to_uppercase();
    let allowed: &[flags::Known] = match verb.as_str() {
        "ADD" => transfer::ADD_FLAGS,
        "COPY" => copy_flags,
        "RUN" => run::FLAGS,
        "FROM" => &[("platform", Takes::Value)],
        "HEALTHCHECK" => health::FLAGS,
        _ => &[],
    };
    let known = NAMES.iter().find(|&&name| name == verb);
    let Some(&name) = known else { return Err(DockerfileError::UnknownInstruction(verb)) };
    let (flags, rest) = flags::take(rest.trim(), allowed, escape)?;
    let (command, words) = parse_command(name, &flags, (rest, documents), escape)?;
    let words = flags.written.iter().cloned().chain(words).collect::<Vec<_>>().join(" ");
    let written = text.trim_end().to_owned();
    Ok(Instruction { shown: format!("{name} {words}"), written, command, lines: None })
}

/// The instructions.
pub(crate) const NAMES: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Parses the arguments: what the instruction does, and the words that its step line shows.
fn parse_command(
    name: &'static str,
    flags: &Flags,
    (rest, documents): (&str, Vec<HereDocument>),
    escape: char,
) -> Result<(Command, Vec<String>), DockerfileError> {
    let whole = || vec![rest.to_owned()];
    Ok(match name {
        "ADD" => transfer::parse(TransferVerb::Add, flags, rest, documents)?,
        "COPY" => transfer::parse(TransferVerb::Copy, flags, rest, documents)?,
        "FROM" => (parse_from(flags, rest)?, whole()),
        "RUN" => {
            let run = run::parse(flags, rest, documents, escape)?;
            // Of documents the first line alone is shown.
            let words = json::words(rest)?.unwrap_or_else(whole);
            (Command::Run(run), words)
        }
        "CMD" => {
            let line = json::command_line(rest)?;
            (Command::Cmd(line.clone()), shown_line(line))
        }
        "ENTRYPOINT" => {
            let line = json::command_line(rest)?;
            (Command::Entrypoint(line.clone()), shown_line(line))
        }
        "ENV" => parse_pairs("ENV", rest, escape, Command::Env)?,
        "LABEL" => parse_pairs("LABEL", rest, escape, Command::Label)?,
        "ARG" => parse_arguments(rest, escape)?,
        "EXPOSE" => {
            let words = several("EXPOSE", rest.split_whitespace())?;
            (Command::Expose(words.clone()), words)
        }
        "VOLUME" => parse_volume(rest)?,
        "HEALTHCHECK" => (health::parse(flags, rest)?, whole()),
        "SHELL" => {
            let words = json::words(rest)?.ok_or(DockerfileError::ShellNotJson)?;
            let words = several("SHELL", words.iter().map(String::as_str))?;
            (Command::Shell(words.clone()), words)
        }
        "ONBUILD" => parse_on_build(rest, escape)?,
        "MAINTAINER" => (Command::Maintainer(one("MAINTAINER", rest)?), whole()),
        "STOPSIGNAL" => (Command::StopSignal(one("STOPSIGNAL", rest)?), whole()),
        "USER" => (Command::User(one("USER", rest)?), whole()),
        "WORKDIR" => (Command::Workdir(one("WORKDIR", rest)?), whole()),
        other => return Err(DockerfileError::UnknownInstruction(other.to_owned())),
    })
}

fn shown_line(line: CommandLine) -> Vec<String> {
    match line {
        CommandLine::Shell(text) => vec![text],
        CommandLine::Exec(words) => words,
    }
}

fn one(name: &str, text: &str) -> Result<String, DockerfileError> {
    if text.is_empty() {
        return Err(DockerfileError::Arguments(name.to_owned(), "exactly one argument"));
    }
    Ok(text.to_owned())
}

fn several<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> Result<Vec<String>, DockerfileError> {
    let words: Vec<_> = words.map(str::to_owned).collect();
    if words.is_empty() {
        return Err(DockerfileError::Arguments(name.to_owned(), "at least one argument"));
    }
    Ok(words)
}

fn parse_from(flags: &Flags, text: &str) -> Result<Command, DockerfileError> {
    let words: Vec<_> = text.split_whitespace().collect();
    let (image, stage) = match words[..] {
        [image] => (image, None),
        [image, keyword, stage] if keyword.eq_ignore_ascii_case("as") => (image, Some(stage_name(stage)?)),
        [] => return Err(DockerfileError::Arguments("FROM".to_owned(), "one argument")),
        _ => return Err(DockerfileError::Arguments("FROM".to_owned(), "either one or three arguments")),
    };
    let platform = flags.value("platform").map(str::to_owned);
    Ok(Command::From { image: image.to_owned(), platform, stage })
}

/// Stage names are case-insensitive: a letter, then letters, digits, `-`, `_` and `.`.
fn stage_name(name: &str) -> Result<String, DockerfileError> {
    let lower = name.to_ascii_lowercase();
    let valid = lower.starts_with(|first: char| first.is_ascii_lowercase())
        && lower
            .chars()
            .all(|next| next.is_ascii_lowercase() || next.is_ascii_digit() || "-_.".contains(next));
    if valid { Ok(lower) } else { Err(DockerfileError::StageName(name.to_owned())) }
}

fn parse_pairs(
    name: &'static str,
    text: &str,
    escape: char,
    make: fn(Vec<(String, String)>) -> Command,
) -> Result<(Command, Vec<String>), DockerfileError> {
    let pairs = words::pairs(name, text, escape)?;
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err(DockerfileError::BlankName(name));
    }
    let shown = pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
    Ok((make(pairs), shown))
}

fn parse_arguments(text: &str, escape: char) -> Result<(Command, Vec<String>), DockerfileError> {
    let words = words::quoted_words(text, escape);
    let shown = several("ARG", words.iter().map(String::as_str))?;
    let argument = |word: String| {
        let (name, default) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() {
            return Err(DockerfileError::BlankName("ARG"));
        }
        Ok(Argument { name: name.to_owned(), default })
    };
    Ok((Command::Arg(words.into_iter().map(argument).collect::<Result<_, _>>()?), shown))
}

fn parse_volume(text: &str) -> Result<(Command, Vec<String>), DockerfileError> {
    let words = json::words(text)?.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let words = several("VOLUME", words.iter().map(String::as_str))?;
    if words.iter().any(|word| word.trim().is_empty()) {
        return Err(DockerfileError::EmptyVolume);
    }
    Ok((Command::Volume(words.clone()), words))
}

/// Takes a trigger as it is written: it is parsed when a build runs it, as that of any image.
fn parse_on_build(text: &str, escape: char) -> Result<(Command, Vec<String>), DockerfileError> {
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let name = verb.to_uppercase();
    match name.as_str() {
        "" => return Err(DockerfileError::Arguments("ONBUILD".to_owned(), "at least one argument")),
        "ONBUILD" => return Err(DockerfileError::ChainedTrigger),
        "FROM" | "MAINTAINER" => return Err(DockerfileError::ForbiddenTrigger(name)),
        _ => {}
    }
    // One that is no instruction is shown by its first word alone.
    let words = parse_instruction(text, Vec::new(), escape).map_or_else(
        |_| if NAMES.contains(&name.as_str()) { rest.trim().to_owned() } else { String::new() },
        |trigger| trigger.shown.strip_prefix(&name).unwrap_or_default().trim_start().to_owned(),
    );
    Ok((Command::OnBuild(text.to_owned()), vec![format!("{} {words}", verb.to_lowercase())]))
}

fn check_trigger(trigger: &Instruction) -> Result<(), DockerfileError> {
    match trigger.command {
        Command::OnBuild(_) => Err(DockerfileError::ChainedTrigger),
        Command::From { .. } => Err(DockerfileError::ForbiddenTrigger("FROM".to_owned())),
        Command::Maintainer(_) => Err(DockerfileError::ForbiddenTrigger("MAINTAINER".to_owned())),
        _ => Ok(()),
    }
}
