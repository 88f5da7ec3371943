//! `POST /containers/(id)/update`

use engine::Error;
use http::StatusCode;
use serde::Serialize;

use crate::container_settings::{least_memory, update_from_wire};
use crate::{Call, Handled, Reply, body};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateAnswer {
    /// `null` when empty.
    warnings: Option<Vec<String>>,
}

pub(super) async fn update(mut call: Call<'_>) -> Handled {
    let body = body::read(&mut call).await?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let update = update_from_wire(call.version, body)?;
    if let Err(refused) = least_memory(call.version, update.resources.memory) {
        let container = call.engine.containers.find(&call.name)?.id().to_string();
        let source = Box::new(Error::refused(refused.to_string()));
        return Err(Error::Container { act: "update", container, source }.into());
    }
    let warnings = call.engine.containers.update(&call.name, update).await?;
    let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
    Reply::json(StatusCode::OK, &UpdateAnswer { warnings })
}
