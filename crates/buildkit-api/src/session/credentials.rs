//! The credentials that a client has for a registry.

use engine::images::registry::Credentials;

use super::registry::Session;
use crate::grpc::{Code, Status};
use buildkit_messages::session::{CredentialsRequest, CredentialsResponse};

const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// The name of Docker Hub for clients.
const HUB: &str = "registry-1.docker.io";

impl Session {
    /// The credentials for a registry's host; `None` where the client has none.
    ///
    /// # Errors
    /// [`Status`] of the client.
    pub(crate) async fn credentials(&self, host: &str) -> Result<Option<Credentials>, Status> {
        if !self.fields.serves(CREDENTIALS) {
            return Ok(None);
        }
        let asked = if host == engine::images::registry::HUB { HUB } else { host };
        let request = CredentialsRequest { host: asked.to_owned() };
        let answer = match self.channel.unary::<CredentialsResponse>(CREDENTIALS, &request).await {
            Ok(answer) => answer,
            Err(status) if matches!(status.code, Code::NotFound | Code::Unimplemented) => return Ok(None),
            Err(status) => return Err(status),
        };
        let server_address = host.to_owned();
        // A secret without a user is a refresh token of the registry's token service.
        let credentials = match (answer.user.is_empty(), answer.secret.is_empty()) {
            (_, true) => return Ok(None),
            (true, false) => {
                Credentials { identity_token: answer.secret, server_address, ..Credentials::default() }
            }
            (false, false) => Credentials {
                username: answer.user,
                password: answer.secret,
                server_address,
                ..Credentials::default()
            },
        };
        Ok(Some(credentials))
    }
}
