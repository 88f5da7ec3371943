//! `POST /containers/(id)/wait`

use engine::{WaitCondition, WaitOutcome};
use http::StatusCode;
use serde::Serialize;

use crate::stream::json_fields;
use crate::{ApiError, Call, Handled, Reply};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WaitAnswer {
    status_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<WaitError>,
}

/// Why the last start, or the removal, failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WaitError {
    message: String,
}

pub(super) async fn wait(call: Call<'_>) -> Handled {
    let begun = call.engine.containers.begin_wait(&call.name, condition(&call)?);
    let wait = begun?;
    if call.version.waits_are_acknowledged() {
        // From now on, the client may cause what it waits for.
        call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    }
    let WaitOutcome { exit_code, error } = call.exchange.while_waited_for(wait.outcome()).await?;
    let error = error.filter(|_| call.version.waits_have_errors()).map(|message| WaitError { message });
    let answer = WaitAnswer { status_code: exit_code, error };
    if !call.exchange.has_begun() {
        return Reply::json(StatusCode::OK, &answer);
    }
    let mut text = serde_json::to_vec(&answer).unwrap_or_default();
    text.push(b'\n');
    let output = call.exchange.output();
    output.write(&text).await?;
    output.finish().await?;
    Ok(Reply::Sent)
}

fn condition(call: &Call<'_>) -> Result<WaitCondition, ApiError> {
    if !call.version.waits_have_conditions() {
        return Ok(WaitCondition::NotRunning);
    }
    match call.query.text("condition") {
        "" | "not-running" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "removed" => Ok(WaitCondition::Removed),
        other => Err(ApiError::bad_request(format!("invalid condition: {other:?}"))),
    }
}
