//! `GET /containers/(id)/stats`: one object, or one a second as long as the container runs.

use http::StatusCode;

use crate::api::stream::json_fields;
use crate::api::wire::WireStats;
use crate::api::{ApiError, Call, Handled, Reply};
use crate::http::Response;

pub(super) async fn stats(call: Call<'_>) -> Handled {
    let record = call.engine.find(&call.name)?.record();
    if !call.query.is_true_or("stream", true) {
        let samples = call.engine.statistics_once(&call.name).await?;
        return Ok(Reply::Whole(Response::json(StatusCode::OK, &WireStats::new(&samples, &record))));
    }
    let followed = call.engine.statistics(&call.name)?;
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let (_, output) = call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    if let Some(mut followed) = followed {
        loop {
            let samples = tokio::select! {
                biased;
                samples = followed.next() => samples,
                _ = &mut departure => return Err(ApiError::Gone),
            };
            let Some(samples) = samples else { break };
            let line = Response::json(StatusCode::OK, &WireStats::new(&samples, &record)).body;
            output.write(&line).await?;
        }
    }
    output.finish().await?;
    Ok(Reply::Sent)
}
