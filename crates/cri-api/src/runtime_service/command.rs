//! Commands in containers, run to their end.

use std::sync::Arc;
use std::time::Duration;

use engine::CommandEnd;
use tonic::Status;

use super::RuntimeService;
use crate::status::{invalid, of_engine};
use crate::wire::session::{ExecSyncRequest, ExecSyncResponse};

impl RuntimeService {
    /// Checks that a container can have streams.
    pub(crate) fn check_container(&self, reference: &str) -> Result<(), Status> {
        let record = self.engine.pods.container(reference).map_err(|error| of_engine(&error))?;
        if record.is_running() {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("the container {} does not run", record.id)))
    }

    /// Checks that a pod has ports.
    pub(crate) fn check_sandbox(&self, reference: &str) -> Result<(), Status> {
        let record = self.engine.pods.sandbox(reference).map_err(|error| of_engine(&error))?;
        if record.is_running() {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("the sandbox {} is not ready", record.id)))
    }

    /// `ExecSync`: a command that takes too long is killed.
    pub(crate) async fn exec_sync(
        self: Arc<Self>,
        asked: ExecSyncRequest,
    ) -> Result<ExecSyncResponse, Status> {
        let timeout = match u64::try_from(asked.timeout) {
            Ok(0) => None,
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => return Err(invalid("the timeout is below 0")),
        };
        let ran = self.engine.pods.run_command(&asked.container_id, asked.cmd, timeout).await;
        match ran.map_err(|error| of_engine(&error))? {
            CommandEnd::Ended(output) => Ok(ExecSyncResponse {
                stdout: output.stdout,
                stderr: output.stderr,
                exit_code: output.exit_code,
            }),
            CommandEnd::TimedOut => {
                let seconds = asked.timeout;
                Err(Status::deadline_exceeded(format!(
                    "the command took more than {seconds} s and was killed"
                )))
            }
        }
    }
}
