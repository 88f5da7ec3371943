//! An event: the four fields of 1.20, and those that newer clients need in addition.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Actor, Event, EventAction, ResourceKind};
use serde::{Serialize, Serializer};

use crate::version::ApiVersion;

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventForm {
    /// Images are called by what the act named, as clients before 1.22 have it.
    Named,
    /// With what happened, to what and by which image twice: for clients before 1.22 too.
    Doubled,
    /// Without the fields that repeat others.
    Plain,
}

impl EventForm {
    /// The form of this version.
    pub(crate) const fn of(version: ApiVersion) -> Self {
        if version.events_say_things_once() {
            Self::Plain
        } else if version.image_ids_have_algorithm() {
            Self::Doubled
        } else {
            Self::Named
        }
    }

    /// Its place among [`engine::EVENT_FORMS`].
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Named => 0,
            Self::Doubled => 1,
            Self::Plain => 2,
        }
    }
}

/// One line of `GET /events`.
#[derive(Debug, Serialize)]
pub(crate) struct WireEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Action")]
    action: Cow<'a, str>,
    #[serde(rename = "Actor", serialize_with = "write_actor")]
    actor: Cow<'a, Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i64,
}

impl<'a> WireEvent<'a> {
    pub(crate) fn new(event: &'a Event, form: EventForm) -> Self {
        let actor = match (event.kind, form) {
            (ResourceKind::Image, EventForm::Named) => Cow::Owned(named(event)),
            (ResourceKind::Container, EventForm::Named) if event.action == EventAction::Die => {
                Cow::Owned(without_duration(&event.actor))
            }
            _ => Cow::Borrowed(&event.actor),
        };
        // Kinds of later versions never have the old fields.
        let has_old_words = form != EventForm::Plain
            && !matches!(event.kind, ResourceKind::Network | ResourceKind::Volume | ResourceKind::Builder);
        let action = event.action.text();
        let image = event.actor.attributes.get("image").map_or("", String::as_str);
        let is_of_container = event.kind == ResourceKind::Container && form != EventForm::Plain;
        Self {
            status: has_old_words.then(|| action.clone()),
            id: has_old_words.then(|| actor.id.clone()),
            from: if is_of_container { image } else { "" },
            kind: kind_word(event.kind),
            action,
            actor,
            scope: (form != EventForm::Named).then_some("local"),
            time: event.time.unix_seconds(),
            time_nano: i64::try_from(event.time.unix_nanoseconds()).unwrap_or(i64::MAX),
        }
    }
}

/// The object of an event, as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireActor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

fn write_actor<S: Serializer>(actor: &Actor, serializer: S) -> Result<S::Ok, S::Error> {
    WireActor { id: &actor.id, attributes: &actor.attributes }.serialize(serializer)
}

/// The word for a kind of thing, in events and in filters.
pub(crate) const fn kind_word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Container => "container",
        ResourceKind::Image => "image",
        ResourceKind::Volume => "volume",
        ResourceKind::Network => "network",
        ResourceKind::Daemon => "daemon",
        ResourceKind::Builder => "builder",
    }
}

/// The image of an event as clients before 1.22 are shown it: by what the act named, a removed name by the image's id.
fn named(event: &Event) -> Actor {
    let (id, attributes) = (event.actor.id.as_str(), &event.actor.attributes);
    let name = attributes.get("name").map_or(id, String::as_str);
    let name = match event.action {
        EventAction::Untag => id,
        EventAction::Push => {
            name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
        }
        _ => name,
    };
    let name = name.strip_prefix("sha256:").unwrap_or(name).to_owned();
    Actor { attributes: [("name".to_owned(), name.clone())].into(), id: name }
}

/// The container of an end as clients before 1.22 see it: without the duration of its run.
fn without_duration(actor: &Actor) -> Actor {
    let mut actor = actor.clone();
    actor.attributes.remove("execDuration");
    actor
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::json;

    use super::*;

    fn written(kind: ResourceKind, action: &str, form: EventForm) -> serde_json::Value {
        let attributes = [("name", "host:5000/app:v1"), ("image", "app"), ("tier", "web")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let actor = Actor { id: format!("sha256:{}", "ab".repeat(32)), attributes };
        let event = Event { kind, action: action.parse().expect("an action"), actor, time: Timestamp::NEVER };
        serde_json::to_value(WireEvent::new(&event, form)).expect("JSON")
    }

    #[test]
    fn images_have_their_names_for_old_clients() {
        let id = "ab".repeat(32);
        for (action, name) in [("tag", "host:5000/app:v1"), ("untag", &id), ("push", "host:5000/app")] {
            let event = written(ResourceKind::Image, action, EventForm::Named);
            assert_eq!((&event["id"], &event["status"]), (&json!(name), &json!(action)));
            assert_eq!(event["Actor"], json!({"ID": name, "Attributes": {"name": name}}));
            assert_eq!(event.get("scope"), None);
        }
    }

    #[test]
    fn the_duration_of_a_run_is_reported_since_1_22() {
        let attributes = ["exitCode", "execDuration"].map(|name| (name.to_owned(), "3".to_owned())).into();
        let actor = Actor { id: String::new(), attributes };
        let event =
            Event { kind: ResourceKind::Container, action: EventAction::Die, actor, time: Timestamp::NEVER };
        let attributes = |form| {
            serde_json::to_value(WireEvent::new(&event, form)).expect("JSON")["Actor"]["Attributes"].clone()
        };
        assert_eq!(attributes(EventForm::Named), json!({"exitCode": "3"}));
        assert_eq!(attributes(EventForm::Doubled), json!({"exitCode": "3", "execDuration": "3"}));
    }

    #[test]
    fn old_words_go() {
        let both = written(ResourceKind::Image, "tag", EventForm::Doubled);
        assert_eq!(
            (&both["id"], &both["status"], &both["scope"]),
            (&both["Actor"]["ID"], &both["Action"], &json!("local"))
        );
        assert_eq!(both["Actor"]["Attributes"]["tier"], "web");
        assert_eq!(written(ResourceKind::Container, "die", EventForm::Doubled)["from"], "app");
        for kind in [ResourceKind::Container, ResourceKind::Image] {
            let plain = written(kind, "die", EventForm::Plain);
            assert!(["status", "id", "from"].iter().all(|field| plain.get(field).is_none()), "{plain}");
        }
    }
}
