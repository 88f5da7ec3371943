//! A client's verdicts on the sources of a build.

use super::registry::Session;
use crate::grpc::Status;
use buildkit_messages::policy::{CheckPolicyRequest, CheckPolicyResponse};

const CHECK: &str = "/moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier/CheckPolicy";

impl Session {
    /// Has the client judge a source.
    ///
    /// # Errors
    /// [`Status`] of the client, or where it judges none.
    pub(crate) async fn judge(&self, request: &CheckPolicyRequest) -> Result<CheckPolicyResponse, Status> {
        self.require(CHECK)?;
        self.channel.unary(CHECK, request).await
    }
}
