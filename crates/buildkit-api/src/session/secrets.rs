//! Secrets that a client has for a build.

use super::registry::Session;
use crate::grpc::{Code, Status};
use buildkit_messages::session::{SecretRequest, SecretResponse};

const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// The longest secret: the limit of the clients that provide them.
const SECRET_LIMIT: usize = 500 << 10;

impl Session {
    /// The value of a secret; `None` where the client does not have this name.
    ///
    /// # Errors
    /// [`Status`] of the client, or a secret that is too long.
    pub(crate) async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Status> {
        if !self.fields.serves(GET_SECRET) {
            return Ok(None);
        }
        let request = SecretRequest { id: id.to_owned() };
        match self.channel.unary::<SecretResponse>(GET_SECRET, &request).await {
            Ok(SecretResponse { data }) if data.len() > SECRET_LIMIT => {
                let text = format!("secret {id} is longer than {SECRET_LIMIT} bytes");
                Err(Status::new(Code::ResourceExhausted, text))
            }
            Ok(SecretResponse { data }) => Ok(Some(data)),
            Err(status) if matches!(status.code, Code::NotFound | Code::Unimplemented) => Ok(None),
            Err(status) => Err(status),
        }
    }
}
