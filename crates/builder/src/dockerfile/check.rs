//! Checks a Dockerfile as a whole, so that errors which can be found early are found before any step runs.

use model::{ImageReference, Signal};

use super::quotes::check_quotes;
use super::{
    Command, CommandLine, Dockerfile, DockerfileError, Instruction, RunCommand, Transfer, count_ports,
    expand, expand_document, expand_words,
};
use crate::order::Order;
use crate::wording::Wording;

/// Checks the order of the instructions and the arguments that hold no variable.
///
/// # Errors
/// [`DockerfileError`] for the first instruction that is wrong.
pub(super) fn check(dockerfile: &Dockerfile, wording: Wording, order: Order) -> Result<(), DockerfileError> {
    if dockerfile.instructions.is_empty() {
        return Err(DockerfileError::NoInstruction);
    }
    let mut started = false;
    let mut stages: Vec<&str> = Vec::new();
    for Instruction { command, lines, .. } in &dockerfile.instructions {
        let placed = |error: DockerfileError| match (wording, lines) {
            (Wording::Today, Some((number, _))) => {
                DockerfileError::Line { number: *number, error: Box::new(error) }
            }
            _ => error,
        };
        match command {
            Command::From { image, stage, .. } => {
                let checked = check_image(image, &stages, order);
                checked.map_err(|error| match (error, order) {
                    (DockerfileError::ImageName(source), Order::Graph) => {
                        placed(DockerfileError::StageImage { name: image.clone(), source })
                    }
                    (error, _) => error,
                })?;
                stages.extend(stage.as_deref());
                started = true;
            }
            Command::Arg(_) => {}
            _ if started => {}
            command => {
                let verb = if matches!(command, Command::Run(_)) { "run" } else { "commit" };
                let error = DockerfileError::NoSourceImage(verb);
                return Err(if order == Order::Graph { placed(error) } else { error });
            }
        }
        check_words(command, dockerfile.escape).map_err(placed)?;
        if let (Command::Transfer(transfer), Order::Written) = (command, order) {
            check_destination(transfer).map_err(placed)?;
        }
        if order == Order::Graph {
            check_quotes(command, dockerfile.escape).map_err(placed)?;
            check_command(command).map_err(placed)?;
        }
    }
    if started { Ok(()) } else { Err(DockerfileError::NoInstruction) }
}

/// In a graph no command stands for that of the image.
fn check_command(command: &Command) -> Result<(), DockerfileError> {
    match command {
        Command::Run(RunCommand { line: CommandLine::Exec(words), .. }) if words.is_empty() => {
            Err(DockerfileError::Arguments("RUN".to_owned(), "at least one argument"))
        }
        _ => Ok(()),
    }
}

fn check_image(image: &str, stages: &[&str], order: Order) -> Result<(), DockerfileError> {
    let known = image == "scratch" || image.contains('$') || is_id(image);
    let stage = stages.iter().any(|stage| stage.eq_ignore_ascii_case(image)) && may_be_stage(image, order);
    if known || stage {
        return Ok(());
    }
    ImageReference::parse(image)?;
    Ok(())
}

/// Whether the name of an image may be that of a stage: in a graph FROM knows the names of stages in lower case alone.
pub(crate) fn may_be_stage(image: &str, order: Order) -> bool {
    order == Order::Written || !image.contains(|letter: char| letter.is_ascii_uppercase())
}

/// Whether a name may be an image's id, whose form no full reference has.
fn is_id(image: &str) -> bool {
    image.len() == 64 && image.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Expands every word with no variable set: what is malformed is found now.
fn check_words(command: &Command, escape: char) -> Result<(), DockerfileError> {
    let unset = |_: &str| None;
    let well_formed = |word: &str| unless_required(expand(word, escape, &unset));
    match command {
        Command::Env(pairs) | Command::Label(pairs) => {
            pairs.iter().try_for_each(|(name, value)| well_formed(name).and_then(|()| well_formed(value)))
        }
        Command::Expose(words) => words
            .iter()
            .try_fold(0, |named, word| {
                if word.contains('$') {
                    return well_formed(word).map(|()| named);
                }
                let words = expand_words(word, escape, &unset)?;
                words.iter().try_fold(named, |named, port| Ok(named + count_ports(port, named)?))
            })
            .map(drop),
        Command::Volume(words) => words.iter().try_for_each(|word| well_formed(word)),
        Command::User(word) | Command::Workdir(word) => well_formed(word),
        Command::From { image, .. } => well_formed(image),
        Command::StopSignal(word) if !word.contains('$') => {
            let signal = expand(word, escape, &unset)?;
            Signal::parse(&signal).map(drop).map_err(|_| DockerfileError::Signal(signal))
        }
        Command::StopSignal(word) => well_formed(word),
        Command::Arg(arguments) => {
            arguments.iter().try_for_each(|argument| argument.default.as_deref().map_or(Ok(()), well_formed))
        }
        Command::Transfer(transfer) => {
            let words = transfer.sources.iter().chain([&transfer.destination]).chain(&transfer.owner);
            let words = words.chain(&transfer.mode).chain(&transfer.excludes).chain(&transfer.checksum);
            words.map(String::as_str).try_for_each(well_formed)?;
            transfer.documents.iter().filter(|document| document.expands).try_for_each(|document| {
                let expanded = expand_document(&document.content, escape, &unset);
                unless_required(expanded)
            })
        }
        Command::Run(run) => run.mounts.iter().try_for_each(|mount| well_formed(mount)),
        Command::Maintainer(_)
        | Command::Cmd(_)
        | Command::Entrypoint(_)
        | Command::OnBuild(_)
        | Command::HealthCheck { .. }
        | Command::Shell(_)
        | Command::ChangeTree(_) => Ok(()),
    }
}

/// A required variable may be set when the step is reached.
fn unless_required(expanded: Result<String, DockerfileError>) -> Result<(), DockerfileError> {
    match expanded {
        Err(DockerfileError::Required { .. }) => Ok(()),
        other => other.map(drop),
    }
}

/// In a graph several files follow each other to the same place.
fn check_destination(transfer: &Transfer) -> Result<(), DockerfileError> {
    let destination = &transfer.destination;
    let several = transfer.sources.len() + transfer.documents.len() > 1;
    if several && !destination.contains('$') && !is_directory(destination) {
        return Err(DockerfileError::DestinationNotDirectory(transfer.verb.name()));
    }
    Ok(())
}

/// Whether a destination names a directory by its form.
fn is_directory(destination: &str) -> bool {
    destination.trim_end_matches(['"', '\'']).ends_with('/') || matches!(destination, "." | "..")
}
