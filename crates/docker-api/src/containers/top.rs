//! `GET /containers/(id)/top`

use http::StatusCode;
use serde::Serialize;

use crate::{Call, Handled, Reply};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TopAnswer {
    processes: Vec<Vec<String>>,
    titles: Vec<String>,
}

pub(super) async fn top(call: &Call<'_>) -> Handled {
    let arguments = call.query.filled("ps_args").unwrap_or("-ef");
    let list = call.engine.containers.top(&call.name, arguments).await?;
    Reply::json(StatusCode::OK, &TopAnswer { processes: list.processes, titles: list.titles })
}
