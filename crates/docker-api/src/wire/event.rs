//! An event: the four fields of 1.20, and those that newer clients need beside them.

use model::{Event, ResourceKind};
use serde::Serialize;

/// One line of `GET /events`.
#[derive(Debug, Serialize)]
pub(crate) struct WireEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    #[serde(rename = "Type")]
    kind: ResourceKind,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: &'a model::Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i64,
}

impl<'a> WireEvent<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        // What only later versions know has none of what these no longer need.
        let is_old = !matches!(event.kind, ResourceKind::Network | ResourceKind::Volume);
        Self {
            status: Some(event.action.as_str()).filter(|_| is_old),
            id: Some(event.actor.id.as_str()).filter(|_| is_old),
            from: if event.kind == ResourceKind::Container {
                event.actor.attributes.get("image").map_or("", String::as_str)
            } else {
                ""
            },
            kind: event.kind,
            action: &event.action,
            actor: &event.actor,
            scope: (!is_old).then_some("local"),
            time: event.time.unix_seconds(),
            time_nano: i64::try_from(event.time.unix_nanoseconds()).unwrap_or(i64::MAX),
        }
    }
}
