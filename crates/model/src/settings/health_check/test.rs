//! What a health check runs: the list of texts of which the first is its kind, as clients and images write it.

use serde::{Deserialize, Serialize};

use super::error::HealthCheckError;

/// The shell that runs the text of `CMD-SHELL`, where the container has none.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

const OFF: &str = "NONE";
const COMMAND: &str = "CMD";
const SHELL_COMMAND: &str = "CMD-SHELL";

/// The probe of a health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>", into = "Option<Vec<String>>")]
pub enum HealthTest {
    /// Not given: that of the image, if it has one.
    #[default]
    Unset,
    /// A list without anything in it: likewise that of the image.
    Empty,
    /// `NONE`: the container is not checked. Texts behind it have no effect and are shown again.
    Off(Vec<String>),
    /// `CMD`: a program and its arguments.
    Command(Vec<String>),
    /// `CMD-SHELL`: a text for the container's shell, and further arguments of that.
    Shell(Vec<String>),
    /// A kind that there is not, which an image may have, and what stands behind it.
    Unknown(String, Vec<String>),
}

impl HealthTest {
    /// Whether it leaves the choice to the image.
    #[must_use]
    pub const fn is_inherited(&self) -> bool {
        matches!(self, Self::Unset | Self::Empty)
    }

    /// Whether it forbids checks.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Off(_))
    }

    /// The program that is run and its arguments; `None` where nothing is.
    ///
    /// # Errors
    /// An unknown kind, and a known one without a command.
    pub(super) fn arguments(
        &self,
        shell: Option<&[String]>,
    ) -> Result<Option<Vec<String>>, HealthCheckError> {
        let (kind, before, command) = match self {
            Self::Unset | Self::Empty | Self::Off(_) => return Ok(None),
            Self::Command(command) => (COMMAND, Vec::new(), command),
            Self::Shell(command) => match shell.filter(|shell| !shell.is_empty()) {
                Some(shell) => (SHELL_COMMAND, shell.to_vec(), command),
                None => (SHELL_COMMAND, SHELL.map(str::to_owned).to_vec(), command),
            },
            Self::Unknown(kind, _) => return Err(HealthCheckError::Kind(kind.clone())),
        };
        if command.first().is_none_or(String::is_empty) {
            return Err(HealthCheckError::NoCommand(kind));
        }
        Ok(Some(before.into_iter().chain(command.iter().cloned()).collect()))
    }
}

impl From<Option<Vec<String>>> for HealthTest {
    fn from(written: Option<Vec<String>>) -> Self {
        let Some(mut written) = written else { return Self::Unset };
        if written.is_empty() {
            return Self::Empty;
        }
        let kind = written.remove(0);
        match kind.as_str() {
            OFF => Self::Off(written),
            COMMAND => Self::Command(written),
            SHELL_COMMAND => Self::Shell(written),
            _ => Self::Unknown(kind, written),
        }
    }
}

impl From<HealthTest> for Option<Vec<String>> {
    fn from(test: HealthTest) -> Self {
        let (kind, mut behind) = match test {
            HealthTest::Unset => return None,
            HealthTest::Empty => return Some(Vec::new()),
            HealthTest::Off(behind) => (OFF.to_owned(), behind),
            HealthTest::Command(command) => (COMMAND.to_owned(), command),
            HealthTest::Shell(command) => (SHELL_COMMAND.to_owned(), command),
            HealthTest::Unknown(kind, behind) => (kind, behind),
        };
        behind.insert(0, kind);
        Some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_written_as_it_was_read() {
        let lists: [Option<&[&str]>; 9] = [
            None,
            Some(&[]),
            Some(&["NONE"]),
            Some(&["NONE", "behind"]),
            Some(&["CMD"]),
            Some(&["CMD", "a", "b"]),
            Some(&["CMD-SHELL", "a b", "c"]),
            Some(&["", "a"]),
            Some(&["cmd", "a"]),
        ];
        for list in lists {
            let list = list.map(|list| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
            let test = HealthTest::from(list.clone());
            assert_eq!(Option::<Vec<String>>::from(test.clone()), list);
            let saved = serde_json::to_value(&test).expect("JSON");
            assert_eq!(saved, serde_json::json!(list));
            assert_eq!(serde_json::from_value::<HealthTest>(saved).expect("a test"), test);
        }
    }
}
