//! `POST /auth`: proves credentials to the registry that they name.

use std::sync::Arc;

use engine::images::registry::{Cancellation, Credentials, IdentityToken, LoggedIn, RegistryError};
use http::StatusCode;
use serde::Serialize;

use super::images::registry_failure;
use super::stream::{CancelOnDrop, apart, finished};
use super::{ApiError, Call, Handled, Reply};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AuthAnswer {
    status: String,
    /// Sent by clients instead of the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_token: Option<String>,
}

pub(super) async fn check(mut call: Call<'_>) -> Handled {
    // Any content type will do, as with the reference.
    let body = call.untyped_json_body().await?;
    let credentials = Credentials::from_body(&body).map_err(|error| ApiError::invalid(error.to_string()))?;
    let credentials = credentials.ok_or_else(|| ApiError::invalid("no credentials were given"))?;
    let client = call.engine.images.registry();
    let cancellation = Arc::new(Cancellation::new());
    let _cancel = CancelOnDrop(Arc::clone(&cancellation));
    let identity = if call.version.logins_give_identity_tokens() {
        IdentityToken::Wanted
    } else {
        IdentityToken::Unwanted
    };
    let work = apart(move || client.check_credentials(&credentials, identity, &cancellation))?;
    let checked = finished(call.exchange.while_waited_for(work).await?)?;
    let checked = match checked {
        Err(RegistryError::Unchallenged(_)) if call.version.refused_logins_are_unauthorized() => {
            Ok(LoggedIn::with(None))
        }
        Err(error @ (RegistryError::Unproven(_) | RegistryError::Unchallenged(_)))
            if !call.version.refused_logins_are_unauthorized() =>
        {
            Err(ApiError::internal(error.to_string()))
        }
        checked => checked.map_err(|error| registry_failure(&error)),
    };
    let LoggedIn { status, identity_token } = checked?;
    let identity_token = identity_token.filter(|_| identity == IdentityToken::Wanted);
    Reply::json(StatusCode::OK, &AuthAnswer { status, identity_token })
}
