//! `GET /containers/(id)/stats`: one object, or one a second as long as the container runs.

use engine::{Reading, Samples};
use http::StatusCode;

use crate::stream::json_fields;
use crate::wire::WireStats;
use crate::{ApiError, Call, Handled, Reply};
use berth_http::Response;

pub(super) async fn stats(call: Call<'_>) -> Handled {
    let container = call.engine.containers.find(&call.name)?;
    let version = call.version;
    let json = |samples: &Samples| {
        let record = container.record();
        let stats = WireStats::new(samples, &record, version);
        Response::json(StatusCode::OK, &stats).body.to_vec()
    };
    if !call.query.is_true_or("stream", true) {
        let is_quick = call.version.stats_have_one_shot() && call.query.is_true("one-shot");
        let reading = if is_quick { Reading::One } else { Reading::Two };
        let samples = call.engine.containers.statistics_once(&call.name, reading).await?;
        let record = container.record();
        let stats = WireStats::new(&samples, &record, version);
        return Ok(Reply::Whole(Response::json(StatusCode::OK, &stats)));
    }
    let followed = call.engine.containers.statistics(&call.name)?;
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
            output.write(samples.line(version.stats_form(), json)).await?;
        }
    }
    output.finish().await?;
    Ok(Reply::Sent)
}
