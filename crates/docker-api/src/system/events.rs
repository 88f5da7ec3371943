//! `GET /events`: what happened since a moment, then what happens, as long as the client listens.

use std::sync::Arc;
use std::time::Duration;

use engine::{Live, PublishedEvent, Subscription};
use http::{StatusCode, header};
use model::{Event, EventAction, ResourceKind, Timestamp};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::filters::Filters;
use crate::json_format::Format;
use crate::version::ApiVersion;
use crate::wire::{EventForm, WireEvent, parse_moment};
use crate::{ApiError, Call, Handled, Reply};

use super::super::event_filter::EventFilter;

/// The most events that go out at once, each as a chunk of its own: some clients take a chunk for an event.
const MOST_AT_ONCE: usize = 128;
/// The last line that a listener receives: why nothing follows.
const OVERFLOW: &[u8] =
    b"{\"status\":\"overflow\",\"id\":\"\",\"Type\":\"daemon\",\"Action\":\"overflow\"}\n";

/// The requested range of time.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

pub(super) async fn events(call: Call<'_>) -> Handled {
    let span = Span { since: moment(&call, "since")?, until: moment(&call, "until")? };
    if call.version.refusals_have_words_of_today()
        && let (Some(since), Some(until)) = (span.since, span.until)
        && since > until
    {
        let (since, until) = (call.query.text("since"), call.query.text("until"));
        return Err(ApiError::bad_request(format!(
            "`since` time ({since}) cannot be after `until` time ({until})"
        )));
    }
    let filters =
        Filters::parse(call.query.text("filters")).map_err(|error| ApiError::invalid(error.to_string()))?;
    let filter = EventFilter::new(filters, call.version, |reference| {
        call.engine.containers.find(reference).ok().map(|found| found.id().clone())
    });
    let filter = filter.map_err(|error| ApiError::invalid(error.to_string()))?;
    let Subscription { past, live } = call.engine.events.subscribe();
    let format = Format::of_events(call.version, call.exchange.head.header(&header::ACCEPT));
    let mut listener = Listener { live, span, filter, version: call.version, format };
    let departure = call.exchange.departure();
    // The head goes out at once: clients wait for it before they start what they want to next_batch of.
    let (_, output) =
        call.exchange.begin(StatusCode::OK, &[(header::CONTENT_TYPE, format.content_type())]).await?;
    output.write_each(&listener.lines_of(&past)).await?;
    let end = tokio::time::sleep(span.left());
    tokio::pin!(departure, end);
    loop {
        let batch = tokio::select! {
            biased;
            // What happened before the end is batch even when both are here.
            () = &mut end => listener.last_batch(),
            batch = listener.next_batch() => batch,
            _ = &mut departure => return Err(ApiError::Gone),
        };
        output.write_each(&batch.lines).await?;
        match batch.ending {
            None => {}
            Some(Ending::Until) => break,
            Some(Ending::TooSlow) => {
                output.write(OVERFLOW).await?;
                break;
            }
        }
    }
    output.finish().await?;
    Ok(Reply::Sent)
}

/// Why a listener receives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The requested end has come.
    Until,
    /// It fell too far behind.
    TooSlow,
}

/// Events that came at once, and whether they are the last.
#[derive(Debug)]
struct Batch {
    lines: Vec<Vec<u8>>,
    ending: Option<Ending>,
}

/// One client's filter and its place in the stream of events.
struct Listener {
    live: Live,
    span: Span,
    filter: EventFilter,
    version: ApiVersion,
    format: Format,
}

impl Listener {
    fn wants(&self, event: &Event) -> bool {
        let is_known = is_known(event, self.version);
        is_known && self.span.has_not_ended(event) && self.filter.fits(event)
    }

    /// The requested past events: none without `since`.
    fn lines_of(&self, past: &[Arc<PublishedEvent>]) -> Vec<Vec<u8>> {
        let Some(since) = self.span.since else { return Vec::new() };
        past.iter()
            .filter(|event| event.time >= since && self.wants(event))
            .map(|event| self.line(event))
            .collect()
    }

    fn line(&self, event: &PublishedEvent) -> Vec<u8> {
        let form = EventForm::of(self.version);
        let line = event.line(form.place(), |event| {
            // These types cannot fail to be written.
            let mut line = serde_json::to_vec(&WireEvent::new(event, form)).unwrap_or_default();
            line.push(b'\n');
            line
        });
        [self.format.prefix(), line].concat()
    }

    /// Waits for the next event, and takes those that are there with it.
    async fn next_batch(&mut self) -> Batch {
        let mut lines = Vec::new();
        match self.live.recv().await {
            Ok(event) if self.wants(&event) => lines.push(self.line(&event)),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Batch { lines, ending: Some(Ending::TooSlow) },
            Err(RecvError::Closed) => return Batch { lines, ending: Some(Ending::Until) },
        }
        let mut batch = self.drain(lines, Ending::Until);
        batch.ending = batch.ending.filter(|ending| *ending == Ending::TooSlow);
        batch
    }

    /// Takes the events that are there at the end, those too that listeners receive later only.
    fn last_batch(&mut self) -> Batch {
        let mut batch = self.drain(Vec::new(), Ending::Until);
        if batch.ending == Some(Ending::Until) {
            let late = self.live.take_undelivered();
            let wanted = late.iter().filter(|event| self.wants(event));
            batch.lines.extend(wanted.map(|event| self.line(event)));
        }
        batch
    }

    /// Takes the events that are there, as many as go out at once.
    fn drain(&mut self, mut lines: Vec<Vec<u8>>, ending: Ending) -> Batch {
        while lines.len() < MOST_AT_ONCE {
            match self.live.try_recv() {
                Ok(event) if self.wants(&event) => lines.push(self.line(&event)),
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                Err(TryRecvError::Lagged(_)) => return Batch { lines, ending: Some(Ending::TooSlow) },
            }
        }
        // A full batch is followed by another.
        let ending = (lines.len() < MOST_AT_ONCE).then_some(ending);
        Batch { lines, ending }
    }
}

/// Whether a version has this event.
fn is_known(event: &Event, version: ApiVersion) -> bool {
    match (event.kind, &event.action) {
        (_, EventAction::Prune) => version.events_have_prunes(),
        (ResourceKind::Network | ResourceKind::Volume, _) => version.events_have_networks_and_volumes(),
        (ResourceKind::Container, EventAction::Detach | EventAction::ExecDetach) => {
            version.events_have_detaches()
        }
        (ResourceKind::Container, EventAction::ExecDie) => version.events_have_exec_ends(),
        (ResourceKind::Image, EventAction::Create) => version.events_have_new_images(),
        (ResourceKind::Image, EventAction::Save | EventAction::Load) => version.events_have_archives(),
        (ResourceKind::Container, EventAction::HealthStatus(_)) => version.containers_have_health(),
        (ResourceKind::Container | ResourceKind::Image | ResourceKind::Daemon | ResourceKind::Builder, _) => {
            true
        }
    }
}

/// A moment of the query; `None` for -1, as the reference has it, other negative ones are before 1970.
fn moment(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = call.query.filled(name) else { return Ok(None) };
    let moment = parse_moment(text).ok_or_else(|| {
        ApiError::invalid(format!("{name} must be a time in seconds since 1970, not {text:?}"))
    })?;
    Ok((text != "-1").then_some(moment))
}

impl Span {
    /// Whether an event lies before the end; a whole second includes all of it.
    fn has_not_ended(self, event: &Event) -> bool {
        self.until.is_none_or(|until| {
            event.time <= until
                || (until.subsecond_nanoseconds() == 0 && event.time.unix_seconds() == until.unix_seconds())
        })
    }

    /// The time to the end; a very long one if there is none.
    fn left(self) -> Duration {
        let longest = Duration::from_secs(10 * 365 * 86_400);
        self.until.map_or(longest, |until| until.since(Timestamp::now()).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use model::Actor;

    use super::*;
    use crate::version::REFERENCE;

    fn listener(
        events: &engine::Events,
        since: Option<i64>,
        until: Option<i64>,
    ) -> (Listener, Vec<Arc<PublishedEvent>>) {
        let moment = |seconds| Timestamp::from_unix(seconds, 0).expect("moment");
        let span = Span { since: since.map(moment), until: until.map(moment) };
        let Subscription { past, live } = events.subscribe();
        let filter = EventFilter::new(Filters::default(), REFERENCE, |_| None).expect("no filter is fine");
        (Listener { live, span, filter, version: REFERENCE, format: Format::of_events(REFERENCE, "") }, past)
    }

    fn emit(events: &engine::Events, action: EventAction) {
        events.emit(ResourceKind::Container, action, Actor { id: "ab".repeat(32), ..Actor::default() });
    }

    #[tokio::test]
    async fn past_only_when_asked_for_and_live_at_once() {
        let events = engine::Events::default();
        emit(&events, EventAction::Create);
        let (silent, past) = listener(&events, None, None);
        assert!(silent.lines_of(&past).is_empty());
        let (mut listening, past) = listener(&events, Some(1), None);
        assert_eq!(listening.lines_of(&past).len(), 1);
        emit(&events, EventAction::Start);
        emit(&events, EventAction::Die);
        let batch = listening.next_batch().await;
        assert!(batch.ending.is_none() && batch.lines.len() == 2, "{batch:?}");
        let text = String::from_utf8(batch.lines.concat()).expect("text");
        assert!(text.starts_with(r#"{"status":"start","id":"abab"#), "{text}");
    }

    #[tokio::test]
    async fn events_after_the_end_are_not_sent() {
        let events = engine::Events::default();
        let (mut ended, past) = listener(&events, Some(1), Some(2));
        emit(&events, EventAction::Create);
        assert!(ended.lines_of(&past).is_empty());
        assert!(ended.next_batch().await.lines.is_empty());
    }

    #[tokio::test]
    async fn a_slow_listener_gets_an_error() {
        let events = engine::Events::default();
        let (mut slow, _) = listener(&events, None, None);
        for _ in 0..10_000 {
            emit(&events, EventAction::Top);
        }
        assert_eq!(slow.next_batch().await.ending, Some(Ending::TooSlow));
    }
}
