//! `POST /containers/create`

use engine::NewContainer;
use http::StatusCode;

use crate::container_settings::from_wire;
use crate::wire::CreateAnswer;
use crate::{Call, Handled, Reply};

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let settings = from_wire(call.version, &body)?;
    let discards_ports = settings.host.network_mode.is_host()
        && settings.host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
    let name = call.query.filled("name").map(str::to_owned);
    let mut created = call.engine.containers.create(NewContainer { name, settings }).await?;
    if discards_ports && call.version.discarded_ports_are_told() {
        created.warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    let warnings = (!created.warnings.is_empty()).then_some(created.warnings);
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.to_string(), warnings })
}
