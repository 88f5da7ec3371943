//! RUN's flags and here-documents.

use super::flags::{Flags, Known, Takes};
use super::heredoc::{self, HereDocument};
use super::mount::RunMount;
use super::words::quoted_words;
use super::{CommandLine, DockerfileError, RunCommand, RunNetwork, json};

/// The flags that RUN takes.
pub(super) const FLAGS: &[Known] =
    &[("mount", Takes::Values), ("network", Takes::Value), ("security", Takes::Value)];

/// As many mounts one RUN has.
const MOUNT_LIMIT: usize = 100;

/// Parses what follows RUN and its flags.
///
/// # Errors
/// [`DockerfileError`] when there is no command, or a flag is wrong.
pub(super) fn parse(
    flags: &Flags,
    text: &str,
    documents: Vec<HereDocument>,
    escape: char,
) -> Result<RunCommand, DockerfileError> {
    let line =
        if documents.is_empty() { json::command_line(text)? } else { CommandLine::Shell(text.to_owned()) };
    if matches!(&line, CommandLine::Shell(text) if text.is_empty()) {
        return Err(DockerfileError::Arguments("RUN".to_owned(), "at least one argument"));
    }
    let mounts: Vec<_> = flags.values("mount").map(str::to_owned).collect();
    if mounts.len() > MOUNT_LIMIT {
        return Err(DockerfileError::TooManyMounts(MOUNT_LIMIT));
    }
    // One with variables is checked after their substitution.
    for mount in mounts.iter().filter(|mount| !mount.contains('$')) {
        RunMount::parse(mount)?;
    }
    let network = match flags.value("network") {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(DockerfileError::RunNetwork(other.to_owned())),
    };
    match flags.value("security") {
        None | Some("sandbox") => {}
        Some("insecure") => return Err(DockerfileError::InsecureRun),
        Some(other) => return Err(DockerfileError::RunSecurity(other.to_owned())),
    }
    let script = script(&line, &documents, escape);
    Ok(RunCommand { line: with_documents(line, &documents), script, mounts, network })
}

/// The document that is the whole command: `RUN <<EOF`.
fn script(line: &CommandLine, documents: &[HereDocument], escape: char) -> Option<HereDocument> {
    let (CommandLine::Shell(text), [document]) = (line, documents) else { return None };
    let words = quoted_words(text, escape);
    let is_alone =
        words.len() == 1 && words[0].starts_with("<<") && heredoc::names(&words[0], &document.name);
    is_alone.then(|| document.clone())
}

/// The line as the shell reads it, with its documents behind it.
fn with_documents(line: CommandLine, documents: &[HereDocument]) -> CommandLine {
    match line {
        CommandLine::Shell(text) => {
            let behind = documents.iter().map(|document| format!("\n{}{}", document.content, document.name));
            let behind: String = behind.collect();
            // A line may follow the end of a document alone.
            let end = if behind.is_empty() { "" } else { "\n" };
            CommandLine::Shell(text + &behind + end)
        }
        exec @ CommandLine::Exec(_) => exec,
    }
}
