//! `POST /containers/(id)/wait`

use engine::{WaitCondition, WaitOutcome};
use http::StatusCode;
use serde::Serialize;

use crate::stream::json_fields;
use crate::words::of_failure;
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
    let condition = condition(&call)?;
    let wait = call.engine.containers.begin_wait(&call.name, condition.unwrap_or_default())?;
    // A client that names a condition may cause it only now, whatever the version.
    if call.version.waits_are_acknowledged() || condition.is_some() {
        call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    }
    let WaitOutcome { exit_code, failure } = call.exchange.while_waited_for(wait.outcome()).await?;
    let failure = failure.filter(|_| call.version.waits_have_errors());
    let error = failure.map(|failure| WaitError { message: of_failure(&failure, call.version).into_owned() });
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

/// The condition to wait for, if there is one. Newer clients send it in versions before it was specified too.
fn condition(call: &Call<'_>) -> Result<Option<WaitCondition>, ApiError> {
    match call.query.text("condition") {
        "" => Ok(None),
        "not-running" => Ok(Some(WaitCondition::NotRunning)),
        "next-exit" => Ok(Some(WaitCondition::NextExit)),
        "removed" => Ok(Some(WaitCondition::Removed)),
        other if call.version.waits_have_conditions() => {
            Err(ApiError::bad_request(format!("invalid condition: {other:?}")))
        }
        _ => Ok(None),
    }
}
