//! `PullImage`: by the engine's client of registries, with the request's credentials.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Engine;
use engine::images::registry::{Cancellation, Credentials, PullRequest, PulledNames, Silent, is_hub};
use model::{Digest, EventAction, ImageReference};
use tonic::Status;

use crate::blocking::apart;
use crate::status::{invalid, of_registry};
use crate::wire::image::AuthConfig;

/// Cancels a pull whose client has left.
struct CancelOnDrop(Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Pulls an image; returns its id.
pub(super) async fn pull(
    engine: &Arc<Engine>,
    text: &str,
    auth: Option<AuthConfig>,
) -> Result<Digest, Status> {
    let reference = ImageReference::parse(text).map_err(invalid)?.with_default_tag();
    let credentials = auth.map(|auth| credentials(auth, &reference)).transpose()?.flatten();
    let cancellation = Cancellation::new();
    let _cancel = CancelOnDrop(cancellation.clone());
    let engine = Arc::clone(engine);
    apart(move || {
        let request = PullRequest {
            store: engine.images.store(),
            reference: &reference,
            credentials: credentials.as_ref(),
            platform: None,
            names: PulledNames::TagAndDigest,
        };
        let pulled = engine.images.registry().pull(&request, &Silent, &cancellation);
        let pulled = pulled.map_err(|error| of_registry(&error))?;
        let first = pulled.first().ok_or_else(|| Status::not_found(format!("{reference} has no image")))?;
        engine.images.emit(EventAction::Pull, &first.image, &reference.to_string());
        Ok(first.image)
    })
    .await
}

/// The request's credentials, unless they are for another registry.
fn credentials(auth: AuthConfig, reference: &ImageReference) -> Result<Option<Credentials>, Status> {
    if !is_for(&auth.server_address, reference.repository.host()) {
        return Ok(None);
    }
    let (mut username, mut password) = (auth.username, auth.password);
    if username.is_empty() && !auth.auth.is_empty() {
        let decoded = STANDARD.decode(&auth.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(|| invalid("the credentials are not base64 of a text"))?;
        let (name, word) = decoded
            .split_once(':')
            .ok_or_else(|| invalid("the credentials have no colon between name and password"))?;
        (username, password) = (name.to_owned(), word.trim_matches('\0').to_owned());
    }
    let credentials = Credentials {
        username,
        password,
        server_address: auth.server_address,
        identity_token: auth.identity_token,
        registry_token: auth.registry_token,
        ..Credentials::default()
    };
    Ok(Some(credentials).filter(|credentials| !credentials.is_anonymous()))
}

/// Whether an address of credentials is that of an image's registry; without one they are for any.
fn is_for(address: &str, host: Option<&str>) -> bool {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let named = address.split('/').next().unwrap_or_default();
    if named.is_empty() {
        return true;
    }
    match host {
        Some(host) => named == host,
        None => is_hub(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(auth: AuthConfig, image: &str) -> Option<Credentials> {
        credentials(auth, &ImageReference::parse(image).expect("a name")).expect("credentials")
    }

    #[test]
    fn credentials_are_taken_from_each_form() {
        let plain = AuthConfig { username: "me".into(), password: "word".into(), ..AuthConfig::default() };
        let read_plain = read(plain, "r.example/app").expect("credentials");
        assert_eq!((read_plain.username.as_str(), read_plain.password.as_str()), ("me", "word"));
        let packed = AuthConfig { auth: STANDARD.encode("me:wo:rd"), ..AuthConfig::default() };
        let read_packed = read(packed, "r.example/app").expect("credentials");
        assert_eq!((read_packed.username.as_str(), read_packed.password.as_str()), ("me", "wo:rd"));
        let token = AuthConfig { registry_token: "t".into(), ..AuthConfig::default() };
        assert_eq!(read(token, "r.example/app").expect("credentials").registry_token, "t");
        assert_eq!(read(AuthConfig::default(), "r.example/app"), None);
    }

    #[test]
    fn credentials_of_another_registry_are_not_sent() {
        let of = |address: &str| AuthConfig {
            username: "me".into(),
            server_address: address.into(),
            ..AuthConfig::default()
        };
        assert!(read(of("https://r.example:5000/v2/"), "r.example:5000/app").is_some());
        assert_eq!(read(of("other.example"), "r.example/app"), None);
        assert_eq!(read(of("r.example"), "busybox"), None);
        assert!(read(of("https://index.docker.io/v1/"), "busybox").is_some());
    }
}
