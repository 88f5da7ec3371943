//! `GET /containers/(id)/logs`

use engine::LogQuery;
use http::{StatusCode, header};
use model::Timestamp;

use crate::{ApiError, Call, Handled, Reply};
use berth_http::StreamKind;

pub(super) async fn logs(call: Call<'_>) -> Handled {
    let query = read_query(&call)?;
    let mut stream = call.engine.logs.read(&call.name, query).await.map_err(failure)?;
    if call.exchange.wants_upgrade() {
        return upgraded(call, stream).await;
    }
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let plain = header::HeaderValue::from_static("application/vnd.docker.raw-stream");
    let (_, output) = call.exchange.begin(StatusCode::OK, &[(header::CONTENT_TYPE, plain)]).await?;
    loop {
        let piece = tokio::select! {
            biased;
            piece = stream.next() => piece,
            _ = &mut departure => return Err(ApiError::Gone),
        };
        match piece {
            Some(piece) => output.write(&piece?).await?,
            None => break,
        }
    }
    output.finish().await?;
    Ok(Reply::Sent)
}

/// With `Upgrade` the specification answers 101 and the bare stream.
async fn upgraded(call: Call<'_>, mut stream: engine::LogStream) -> Handled {
    use tokio::io::AsyncWriteExt as _;
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let mut client = call.exchange.hijack(StreamKind::Raw).await?.into_stream();
    loop {
        let piece = tokio::select! {
            biased;
            piece = stream.next() => piece,
            _ = &mut departure => return Ok(Reply::Sent),
        };
        let Some(Ok(piece)) = piece else { break };
        client.write_all(&piece).await?;
        client.flush().await?;
    }
    client.shutdown().await?;
    Ok(Reply::Sent)
}

/// The specification lists 400 for a request that chooses no stream.
fn failure(error: engine::Error) -> ApiError {
    match error {
        engine::Error::NoStreamChosen => ApiError::bad_request(error.to_string()),
        other => other.into(),
    }
}

fn read_query(call: &Call<'_>) -> Result<LogQuery, ApiError> {
    let query = &call.query;
    let (stdout, stderr) = (query.is_true("stdout"), query.is_true("stderr"));
    let tail = match query.text("tail") {
        "" | "all" => None,
        // What is no number, or a negative one, means all.
        text => text.parse().ok(),
    };
    let since = query.filled("since").map(since).transpose()?;
    let (follow, timestamps) = (query.is_true("follow"), query.is_true("timestamps"));
    Ok(LogQuery { follow, stdout, stderr, since: since.flatten(), timestamps, tail, framed: None })
}

/// Seconds since 1970, as newer clients send it with a fraction; 0 and less is no limit.
fn since(text: &str) -> Result<Option<Timestamp>, ApiError> {
    let moment = crate::wire::parse_moment(text).ok_or_else(|| {
        ApiError::invalid(format!("since must be a time in seconds since 1970, not {text:?}"))
    })?;
    Ok((moment.unix_nanoseconds() > 0).then_some(moment))
}
