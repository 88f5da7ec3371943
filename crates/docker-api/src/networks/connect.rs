//! `POST /networks/(id)/connect` and `/disconnect`

use http::StatusCode;
use model::NetworkReference;
use serde::Deserialize;

use crate::container_settings::EndpointSettings;
use crate::{ApiError, Call, Handled, Reply, body, json};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Connection {
    container: String,
    endpoint_config: Option<EndpointSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Disconnection {
    container: String,
    force: bool,
}

pub(super) async fn connect(mut call: Call<'_>) -> Handled {
    let body = body::read(&mut call).await?;
    let Connection { container, endpoint_config } = json::from_body(&body).map_err(body::malformed)?;
    let mut settings = endpoint_config.unwrap_or_default();
    if !call.version.connect_takes_a_mac_address() {
        settings.mac_address.clear();
    }
    let network = NetworkReference::Named(call.name.clone());
    let attachment = settings.attachment(network, call.version).map_err(ApiError::bad_request)?;
    call.engine.networks.connect(&call.name, named(&container)?, attachment).await?;
    Reply::empty(StatusCode::OK)
}

pub(super) async fn disconnect(mut call: Call<'_>) -> Handled {
    let body = body::read(&mut call).await?;
    let Disconnection { container, force } = json::from_body(&body).map_err(body::malformed)?;
    call.engine.networks.disconnect(&call.name, named(&container)?, force).await?;
    Reply::empty(StatusCode::OK)
}

fn named(container: &str) -> Result<&str, ApiError> {
    if container.is_empty() {
        return Err(ApiError::bad_request("invalid container: the body names none"));
    }
    Ok(container)
}
