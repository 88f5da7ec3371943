//! Opens, changes and closes the container's name service as the daemon requests.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use model::Namespace;
use shim_protocol::names::NameService;
use shim_protocol::{Answer, Failure, FailureKind};

use crate::names::NameServer;
use crate::supervisor::{Phase, Supervisor};

impl Supervisor {
    /// Answers names like this from now on.
    pub(crate) fn set_names(&mut self, service: Option<NameService>) -> Result<Answer, Failure> {
        let Some(service) = service else {
            if let Some(names) = self.names.take() {
                names.close();
            }
            return Ok(Answer::Done);
        };
        if matches!(self.phase, Phase::Over(_)) {
            return Err(failure(FailureKind::WrongState, "the container is not running"));
        }
        if self.spec.namespaces.network == Namespace::Host {
            return Err(failure(FailureKind::Refused, "the container is in the host's network namespace"));
        }
        match &mut self.names {
            Some(names) => names.set(service).map_err(|error| system(&error))?,
            None => {
                let namespace = self.network_namespace().map_err(|error| system(&error))?;
                let names = NameServer::open(namespace, service, &mut self.shared);
                self.names = Some(Box::new(names.map_err(|error| system(&error))?));
            }
        }
        Ok(Answer::Done)
    }

    /// That of init, which is a child that is not reaped, so that its number is its own. One that waits for
    /// its start may have yet to join the namespace of another process.
    fn network_namespace(&self) -> io::Result<OwnedFd> {
        if let Phase::Waiting(created) = &self.phase
            && let Some(namespace) = created.network_namespace()
        {
            return namespace.try_clone_to_owned();
        }
        let init = self.processes.init.ok_or(io::ErrorKind::NotFound)?;
        Ok(File::open(format!("/proc/{}/ns/net", init.pid))?.into())
    }
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned() }
}

fn system(error: &io::Error) -> Failure {
    failure(FailureKind::System, &format!("opening the name service: {error}"))
}
