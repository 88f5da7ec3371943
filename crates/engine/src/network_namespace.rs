//! The network namespace of a container that runs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::container::Record;
use crate::error::{Error, file_error};

/// Opens the network namespace of a container's init.
///
/// # Errors
/// [`Error::NotRunning`] when it has ended, also where another process has its number by now; what open(2) refuses.
pub(crate) fn of(record: &Record) -> Result<OwnedFd, Error> {
    let not_running = || Error::NotRunning(record.id.to_string());
    let process = record.phase.process().ok_or_else(not_running)?;
    let path = PathBuf::from(format!("/proc/{}/ns/net", process.pid));
    let namespace = File::open(&path).map_err(|error| match error.kind() {
        // It has ended, and that has not been reported.
        std::io::ErrorKind::NotFound => not_running(),
        _ => file_error("open", &path)(error),
    })?;
    // Another process has had the number only if it has it still.
    if sys::process::is_alive(process.pid, process.start_time) {
        Ok(namespace.into())
    } else {
        Err(not_running())
    }
}

#[cfg(test)]
mod tests {
    use model::{ContainerId, Digest, ProcessReference, Timestamp};

    use super::*;
    use crate::container::Phase;

    #[test]
    fn the_namespace_of_a_process_that_has_the_number_of_an_ended_one_is_not_opened() {
        let id = ContainerId::from_random([1; 32]);
        let mut record = Record::new(id, "name".to_owned(), Digest::from_bytes([0; 32]), Timestamp::now());
        let pid = std::process::id();
        let start_time = sys::process::start_time(pid).expect("it runs");
        record.phase = Phase::Running(ProcessReference { pid, start_time });
        assert!(of(&record).is_ok());
        record.phase = Phase::Running(ProcessReference { pid, start_time: start_time + 1 });
        assert!(matches!(of(&record), Err(Error::NotRunning(_))));
    }
}
