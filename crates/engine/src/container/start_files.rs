//! The files that a start writes.

use std::io::Write;

use shim_protocol::RunDirectory;

use crate::container::start::Starter;
use crate::container::{Purpose, Record};
use crate::disposal::remove_run_directory;
use crate::error::{Error, file_error};

impl Starter {
    /// Writes what a start needs on disk. Blocks: a disk that does not answer holds up this start alone.
    pub(super) fn write_files(
        &self,
        record: &Record,
        purpose: Purpose,
        directory: &RunDirectory,
        specification: &[u8],
    ) -> Result<(), Error> {
        remove_run_directory(directory);
        self.write_own_files(record, purpose)?;
        sys::private::directory(directory.path())
            .map_err(file_error("make the directory", directory.path()))?;
        let written =
            sys::private::create(&directory.spec()).and_then(|mut file| file.write_all(specification));
        written.map_err(|source| {
            remove_run_directory(directory);
            file_error("write", &directory.spec())(source)
        })
    }

    /// Makes the directories of a container's layer, and writes its resolver files unless it has those of another one. Blocks.
    pub(crate) fn write_own_files(&self, record: &Record, purpose: Purpose) -> Result<(), Error> {
        // Loss of power may have taken the directories of a container whose row survived.
        match purpose {
            Purpose::Step => self.creator.make_step_directories(record)?,
            Purpose::Client | Purpose::StepHost => self.creator.make_layer_directories(record)?,
        }
        match record.settings.host.network_mode.joined() {
            Some(_) => Ok(()),
            None => self.lookup.networking.write_resolver_files(record),
        }
    }
}
