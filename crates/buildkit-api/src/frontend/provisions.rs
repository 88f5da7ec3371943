//! The client's secrets and ssh agents for the steps of a build.

use std::path::PathBuf;

use engine::builder::{Provisions, StepError};

use super::remote::Remote;
use crate::session::Agents;

/// The secrets and agents of a session.
pub(super) struct SessionProvisions {
    remote: Remote,
    agents: Agents,
}

impl SessionProvisions {
    pub(super) fn new(remote: Remote, directory: PathBuf) -> Self {
        Self { remote, agents: Agents::new(directory) }
    }
}

impl Provisions for SessionProvisions {
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, StepError> {
        match &self.remote.session {
            Some(session) => self.remote.ask(session.secret(id)),
            None => Ok(None),
        }
    }

    fn ssh_agent(&self, id: &str) -> Result<Option<PathBuf>, StepError> {
        match &self.remote.session {
            Some(session) => self.remote.ask(self.agents.socket(session, id)),
            None => Ok(None),
        }
    }
}
