//! `GET /events`: what happened since a moment, then what happens, as long as the client listens.

use std::io::Write as _;
use std::time::Duration;

use engine::Subscription;
use http::{HeaderValue, StatusCode, header};
use model::{Event, Timestamp};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::api::filters::Filters;
use crate::api::wire::{WireEvent, parse_moment};
use crate::api::{ApiError, Call, Handled, Reply};

use super::super::event_filter::EventFilter;

/// Events that happen at once go out in pieces of at most about this size.
const PIECE: usize = 64 * 1024;
/// The line that tells a listener why it hears no more.
const OVERFLOW: &[u8] =
    b"{\"status\":\"overflow\",\"id\":\"\",\"Type\":\"daemon\",\"Action\":\"overflow\"}\n";

/// The time that is asked about.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

pub(super) async fn events(call: Call<'_>) -> Handled {
    let span = Span { since: moment(&call, "since")?, until: moment(&call, "until")? };
    let filters =
        Filters::parse(call.query.text("filters")).map_err(|error| ApiError::refused(error.to_string()))?;
    let filter = EventFilter::new(filters, |reference| {
        call.engine.find(reference).ok().map(|found| found.id().clone())
    });
    let Subscription { past, mut live } = call.engine.events().subscribe();
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let json = HeaderValue::from_static("application/json");
    // The head goes out at once: clients wait for it before they start what they want to hear of.
    let (_, output) = call.exchange.begin(StatusCode::OK, &[(header::CONTENT_TYPE, json)]).await?;
    if let Some(since) = span.since {
        let lines = lines(
            past.iter()
                .filter(|event| event.time >= since && span.has_not_ended(event) && filter.fits(event)),
        );
        output.write(&lines).await?;
    }
    let end = span.end();
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            biased;
            event = live.recv() => event,
            () = &mut end => break,
            _ = &mut departure => return Err(ApiError::Gone),
        };
        let mut piece = Vec::new();
        let mut next = match event {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => return overflow(output).await,
            Err(RecvError::Closed) => break,
        };
        while let Some(event) = next {
            if span.has_not_ended(&event) && filter.fits(&event) {
                write_line(&mut piece, &event);
            }
            next = if piece.len() < PIECE { next_at_once(&mut live)? } else { None };
        }
        output.write(&piece).await?;
    }
    output.finish().await?;
    Ok(Reply::Sent)
}

/// A further event that is there already. A listener that lags hears of it at the next wait.
fn next_at_once(live: &mut tokio::sync::broadcast::Receiver<Event>) -> Result<Option<Event>, ApiError> {
    match live.try_recv() {
        Ok(event) => Ok(Some(event)),
        Err(TryRecvError::Empty | TryRecvError::Closed) => Ok(None),
        Err(TryRecvError::Lagged(_)) => Err(ApiError::Gone),
    }
}

async fn overflow(output: &mut crate::http::Output) -> Handled {
    output.write(OVERFLOW).await?;
    output.finish().await?;
    Ok(Reply::Sent)
}

fn lines<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<u8> {
    let mut lines = Vec::new();
    events.for_each(|event| write_line(&mut lines, event));
    lines
}

fn write_line(lines: &mut Vec<u8>, event: &Event) {
    // Neither a vector nor these types can fail.
    let _ = serde_json::to_writer(&mut *lines, &WireEvent::new(event));
    let _ = lines.write_all(b"\n");
}

/// A moment of the query; 0 and less is none.
fn moment(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = call.query.filled(name) else { return Ok(None) };
    let moment = parse_moment(text).ok_or_else(|| {
        ApiError::refused(format!("{name} must be a time in seconds since 1970, not {text:?}"))
    })?;
    Ok((moment.unix_nanoseconds() > 0).then_some(moment))
}

impl Span {
    /// Whether an event lies before the end; a whole second includes all of it.
    fn has_not_ended(self, event: &Event) -> bool {
        self.until.is_none_or(|until| {
            event.time <= until
                || (until.subsecond_nanoseconds() == 0 && event.time.unix_seconds() == until.unix_seconds())
        })
    }

    /// Waits for the end, for ever when there is none.
    async fn end(self) {
        match self.until {
            Some(until) => {
                let left = until.since(Timestamp::now());
                tokio::time::sleep(left.min(Duration::from_secs(365 * 86_400))).await;
            }
            None => std::future::pending().await,
        }
    }
}
