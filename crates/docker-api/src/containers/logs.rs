//! `GET /containers/(id)/logs`

use engine::{LogForm, LogQuery};
use http::{StatusCode, header};
use model::Timestamp;

use crate::json_format::Format;
use crate::wire::{parse_moment, parse_seconds};
use crate::{ApiError, Call, Handled, Reply};
use berth_http::StreamKind;

pub(super) async fn logs(call: Call<'_>) -> Handled {
    let format = format(&call)?;
    let query = read_query(&call, format)?;
    let mut stream = call.engine.logs.read(&call.name, query).await.map_err(failure)?;
    let terminal = call.engine.containers.find(&call.name)?.record().settings.terminal;
    let kind = super::attach::stream_kind(!terminal, call.version);
    if call.exchange.wants_upgrade() {
        return upgraded(call, kind, stream).await;
    }
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let content_type =
        format.map_or(header::HeaderValue::from_static(kind.content_type()), Format::content_type);
    let (_, output) = call.exchange.begin(StatusCode::OK, &[(header::CONTENT_TYPE, content_type)]).await?;
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
async fn upgraded(call: Call<'_>, kind: StreamKind, mut stream: engine::LogStream) -> Handled {
    use tokio::io::AsyncWriteExt as _;
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let mut client = call.exchange.hijack(kind).await?.into_stream();
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

fn read_query(call: &Call<'_>, format: Option<Format>) -> Result<LogQuery, ApiError> {
    let query = &call.query;
    let (stdout, stderr) = (query.is_true("stdout"), query.is_true("stderr"));
    let tail = match query.text("tail") {
        "" | "all" => None,
        // What is no number, or a negative one, means all.
        text => text.parse().ok(),
    };
    let form = match format {
        Some(format) => LogForm::Objects { prefix: format.prefix() },
        None => LogForm::Lines,
    };
    Ok(LogQuery {
        follow: query.is_true("follow"),
        stdout,
        stderr,
        since: bound(call, "since")?,
        until: if call.version.logs_have_an_end() { bound(call, "until")? } else { None },
        timestamps: query.is_true("timestamps"),
        details: call.version.logs_have_details() && query.is_true("details"),
        form,
        tail,
        framed: None,
    })
}

/// The requested format of objects instead of lines.
fn format(call: &Call<'_>) -> Result<Option<Format>, ApiError> {
    if !call.version.logs_can_be_objects() {
        return Ok(None);
    }
    let is_asked_for = match call.query.text("format") {
        "" => false,
        "json" => true,
        other => return Err(ApiError::bad_request(format!("unsupported log format {other:?}"))),
    };
    Ok(Format::of_logs(is_asked_for, call.exchange.head.header(&header::ACCEPT)))
}

/// Seconds since 1970, as newer clients send it with a fraction; 0 and less is no limit.
fn bound(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = call.query.filled(name) else { return Ok(None) };
    let moment = if call.version.log_bounds_are_seconds() { parse_seconds(text) } else { parse_moment(text) };
    let moment = moment.ok_or_else(|| {
        ApiError::invalid(format!("{name} must be a time in seconds since 1970, not {text:?}"))
    })?;
    Ok((moment.unix_nanoseconds() > 0).then_some(moment))
}
