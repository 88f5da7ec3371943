//! `POST /containers/create`

use engine::NewContainer;
use http::StatusCode;

use crate::container_settings::from_wire;
use crate::wire::CreateAnswer;
use crate::{Call, Handled, Reply};

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let settings = from_wire(call.version, &body)?;
    let name = call.query.filled("name").map(str::to_owned);
    let created = call.engine.containers.create(NewContainer { name, settings }).await?;
    let warnings = (!created.warnings.is_empty()).then_some(created.warnings);
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.to_string(), warnings })
}
