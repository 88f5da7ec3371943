//! Commands in containers, run to their end.

use std::sync::Arc;
use std::time::Duration;

use engine::CommandEnd;
use tonic::Status;

use super::RuntimeService;
use crate::status::{invalid, of_engine};
use crate::wire::session::{
    AttachRequest, ExecRequest, ExecSyncRequest, ExecSyncResponse, PortForwardRequest,
};

impl RuntimeService {
    /// Checks that a command with these streams can be run in a container.
    pub(crate) fn check_exec(&self, asked: &ExecRequest) -> Result<(), Status> {
        if asked.cmd.is_empty() {
            return Err(invalid("the command is empty"));
        }
        check_streams([asked.stdin, asked.stdout, asked.stderr], asked.tty)?;
        self.check_container(&asked.container_id)
    }

    /// Checks that a container can be attached to with these streams.
    pub(crate) fn check_attach(&self, asked: &AttachRequest) -> Result<(), Status> {
        check_streams([asked.stdin, asked.stdout, asked.stderr], asked.tty)?;
        self.check_container(&asked.container_id)
    }

    /// Checks that a container can have streams.
    fn check_container(&self, reference: &str) -> Result<(), Status> {
        let record = self.engine.pods.container(reference).map_err(|error| of_engine(&error))?;
        if record.is_running() {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("the container {} does not run", record.id)))
    }

    /// Checks that a pod has these ports.
    pub(crate) fn check_ports(&self, asked: &PortForwardRequest) -> Result<(), Status> {
        if let Some(port) = asked.port.iter().find(|port| !(1..=65535).contains(*port)) {
            return Err(invalid(format!("{port} is no port: ports are from 1 to 65535")));
        }
        let record = self.engine.pods.sandbox(&asked.pod_sandbox_id).map_err(|error| of_engine(&error))?;
        if self.engine.pods.unfinished.is_ready(&record) {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("the sandbox {} is not ready", record.id)))
    }

    /// `ExecSync`: a command that takes too long is killed, and so is one whose client leaves.
    pub(crate) async fn exec_sync(
        self: Arc<Self>,
        asked: ExecSyncRequest,
    ) -> Result<ExecSyncResponse, Status> {
        let timeout = match u64::try_from(asked.timeout) {
            Ok(0) => None,
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => return Err(invalid("the timeout is below 0")),
        };
        let ran = self.engine.pods.streams.run_command(&asked.container_id, asked.cmd, timeout).await;
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

/// Checks the requested input, output and error output; a terminal has no error output of its own.
fn check_streams([stdin, stdout, stderr]: [bool; 3], terminal: bool) -> Result<(), Status> {
    if !(stdin || stdout || stderr) {
        return Err(invalid("none of stdin, stdout and stderr is asked for"));
    }
    if terminal && stderr {
        return Err(invalid("stderr cannot be asked for with tty: a terminal has one output"));
    }
    Ok(())
}
