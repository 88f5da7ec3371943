//! The texts of refusals for current clients, where they differ from the reference's.

use std::borrow::Cow;

use engine::images::Error as ImageError;
use engine::{Error, LogRefusal, RecordedFailure};

use crate::version::ApiVersion;

/// The text for a current client; `None` where it is the same in all versions.
pub(crate) fn of_today(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoSuchContainer(name) => format!("No such container: {name}"),
        Error::System { message, .. } | Error::Program { message, .. } => message.clone(),
        Error::UnreadableLog(_) => "configured logging driver does not support reading".to_owned(),
        Error::Log(LogRefusal::UnknownDriver(name)) => {
            format!("logger: no log driver named '{name}' is registered")
        }
        Error::NoSuchExec(id) => format!("No such exec instance: {id}"),
        Error::NoImageToCreate { name, tag } => {
            let before = name.strip_suffix(tag.as_str());
            let has_it = before.is_some_and(|before| before.ends_with([':', '@']));
            if has_it { format!("No such image: {name}") } else { format!("No such image: {name}:{tag}") }
        }
        Error::Image(ImageError::ImageNotFound(name)) => format!("No such image: {name}"),
        Error::NameTaken { name, holder } => format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to \
             remove (or rename) that container to be able to reuse that name."
        ),
        Error::RemoveRunning => {
            "container is running: stop the container before removing or force remove".to_owned()
        }
        Error::RemovePaused => "container is paused and must be unpaused first".to_owned(),
        Error::Container { container, source, .. }
            if matches!(**source, Error::RemoveRunning | Error::RemovePaused) =>
        {
            format!("cannot remove container {container:?}: {}", of_today(source)?)
        }
        Error::Container { act, container, source } => {
            format!("Cannot {act} container {container}: {}", of_today(source)?)
        }
        Error::Rename(source) => format!("Error when allocating new name: {}", of_today(source)?),
        _ => return None,
    })
}

/// Why a container failed, in the words of the version.
pub(crate) fn of_failure(failure: &RecordedFailure, version: ApiVersion) -> Cow<'_, str> {
    match failure {
        RecordedFailure::System(cause) if !version.refusals_have_words_of_today() => {
            Cow::Owned(format!("[8] System error: {cause}"))
        }
        failure => Cow::Borrowed(failure.cause()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_worded_behind_what_was_done() {
        let missing = || Box::new(Error::NoSuchContainer("web".to_owned()));
        let kill = Error::Container { act: "kill", container: "web".to_owned(), source: missing() };
        assert_eq!(of_today(&kill).as_deref(), Some("Cannot kill container web: No such container: web"));
        let other = Error::Container {
            act: "start",
            container: "web".to_owned(),
            source: Box::new(Error::StartPaused),
        };
        assert_eq!(of_today(&other), None);
    }
}
