//! Finds a process's program as a shell would and turns it into what execve(2) takes.

use std::ffi::CString;
use std::io;

use rustix::fs::{Access, FileType};

use crate::{FailureKind, StartError};

/// The default `PATH` of a process.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The arguments and environment of a process in the kernel's form.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    search_path: String,
}

impl Program {
    /// Takes them; adds HOME when it is missing or empty.
    pub(crate) fn new(arguments: &[String], environment: &[String], home: &str) -> Result<Self, StartError> {
        let name = arguments.first().cloned().unwrap_or_default();
        let invalid = |_| StartError::words(FailureKind::System, format!("exec: {name:?}: invalid argument"));
        let strings = |list: &[String]| {
            list.iter().map(|text| CString::new(text.as_str())).collect::<Result<Vec<_>, _>>()
        };
        if environment.iter().any(|entry| entry.starts_with('=')) {
            return Err(StartError::words(FailureKind::System, "setenv: invalid argument"));
        }
        let arguments = strings(arguments).map_err(invalid)?;
        let mut environment_strings = strings(environment).map_err(invalid)?;
        environment_strings.retain(|entry| entry.as_c_str() != c"HOME=");
        if !environment_strings.iter().any(|entry| entry.as_bytes().starts_with(b"HOME=")) {
            environment_strings.push(CString::new(format!("HOME={home}")).map_err(invalid)?);
        }
        let search_path = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
        let search_path = search_path.unwrap_or(DEFAULT_PATH).to_owned();
        Ok(Self { name, arguments, environment: environment_strings, search_path })
    }

    /// Finds the program's file, with the rights and the working directory of the caller.
    pub(crate) fn find(&self) -> Result<CString, StartError> {
        if self.name.contains('/') {
            return match check(&self.name) {
                Ok(()) => self.path(&self.name),
                Err(error) => Err(self.refusal(&error)),
            };
        }
        let directories = self.search_path.split(':').filter(|_| !self.name.is_empty());
        for directory in directories {
            let directory = if directory.is_empty() { "." } else { directory };
            let candidate = format!("{}/{}", directory.trim_end_matches('/'), self.name);
            if check(&candidate).is_ok() {
                return self.path(&candidate);
            }
        }
        let message = format!("exec: {:?}: executable file not found in $PATH", self.name);
        Err(StartError::words(FailureKind::ProgramNotFound, message))
    }

    /// Becomes the program; returns only on failure.
    pub(crate) fn execute(&self, path: &CString) -> StartError {
        let error = sys::execute::execute(path, &self.arguments, &self.environment);
        let failure = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::NOENT) => FailureKind::ProgramNotFound,
            Some(rustix::io::Errno::NOMEM | rustix::io::Errno::TOOBIG) => FailureKind::System,
            _ => FailureKind::ProgramNotExecutable,
        };
        let message = format!("exec: {:?}: {}", self.name, model::kernel_words(&error));
        StartError { failure, message, source: Some(error) }
    }

    fn path(&self, path: &str) -> Result<CString, StartError> {
        CString::new(path).map_err(|_| {
            StartError::words(FailureKind::System, format!("exec: {:?}: invalid argument", self.name))
        })
    }

    fn refusal(&self, error: &io::Error) -> StartError {
        let (failure, reason) = match error.kind() {
            io::ErrorKind::NotFound => {
                (FailureKind::ProgramNotFound, format!("stat {}: no such file or directory", self.name))
            }
            io::ErrorKind::NotADirectory => {
                (FailureKind::ProgramNotExecutable, format!("stat {}: not a directory", self.name))
            }
            _ => (FailureKind::ProgramNotExecutable, model::kernel_words(error)),
        };
        StartError::words(failure, format!("exec: {:?}: {reason}", self.name))
    }
}

/// An executable file that is no directory.
fn check(path: &str) -> io::Result<()> {
    let status = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Directory || status.st_mode & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let flags = rustix::fs::AtFlags::EACCESS;
    // /proc/self/exe and what leads there is the runtime's own program, never the container's.
    let own = rustix::fs::stat(c"/proc/self/exe");
    if own.is_ok_and(|own| (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, flags) {
        Err(rustix::io::Errno::ACCESS) => Err(io::ErrorKind::PermissionDenied.into()),
        // What else may be wrong, execve reports better.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Result<String, (FailureKind, String)> {
        let arguments = [name.to_owned()];
        let environment = ["PATH=/nosuch:/bin".to_owned()];
        let program = Program::new(&arguments, &environment, "/").expect("plain strings");
        let text = |path: CString| path.to_string_lossy().into_owned();
        program.find().map(text).map_err(|error| (error.failure(), error.to_string()))
    }

    #[test]
    fn programs_are_found_or_named_in_the_refusal() {
        use FailureKind::{ProgramNotExecutable, ProgramNotFound};
        assert_eq!(find("sh").as_deref(), Ok("/bin/sh"));
        for (name, failure, words) in [
            ("nope", ProgramNotFound, "exec: \"nope\": executable file not found in $PATH"),
            ("", ProgramNotFound, "exec: \"\": executable file not found in $PATH"),
            ("/nope", ProgramNotFound, "exec: \"/nope\": stat /nope: no such file or directory"),
            ("/etc", ProgramNotExecutable, "exec: \"/etc\": permission denied"),
            ("/etc/passwd", ProgramNotExecutable, "exec: \"/etc/passwd\": permission denied"),
        ] {
            assert_eq!(find(name), Err((failure, words.to_owned())), "{name}");
        }
    }

    #[test]
    fn an_empty_home_is_the_users() {
        let home = |environment: &[&str]| {
            let environment: Vec<String> = environment.iter().map(|entry| (*entry).to_owned()).collect();
            Program::new(&["x".into()], &environment, "/root").expect("plain strings").environment
        };
        assert_eq!(home(&["HOME=", "A=b"]), [c"A=b".to_owned(), c"HOME=/root".to_owned()]);
        assert_eq!(home(&["HOME=/x"]), [c"HOME=/x".to_owned()]);
        assert_eq!(home(&[]), [c"HOME=/root".to_owned()]);
    }

    #[test]
    fn a_bad_environment_is_refused() {
        let refusal = Program::new(&["x".into()], &["=b".into()], "/").expect_err("no name");
        assert_eq!(refusal.to_string(), "setenv: invalid argument");
        assert!(Program::new(&["x\0y".into()], &[], "/").is_err());
    }
}
