//! The filter of a listener of events: kinds of filters must all match, of one kind any value.

use std::collections::HashMap;

use model::{ContainerId, Event, EventAction, ResourceKind, Timestamp};

use super::filters::{Filters, has_label};
use super::version::ApiVersion;
use super::wire::kind_word;

/// The filters of events; any other is refused.
const NAMES: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];
/// Things of clusters and plugins, of which there is no event.
const NEVER: [&str; 5] = ["config", "node", "plugin", "secret", "service"];

/// A listener uses an unknown filter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter '{0}'")]
pub(super) struct UnknownFilter(String);

/// A listener's filters, with containers' names resolved when it began to listen.
pub(super) struct EventFilter {
    filters: Filters,
    /// The requested containers, as far as they exist.
    containers: HashMap<String, ContainerId>,
    version: ApiVersion,
    /// When the listener began: what is older is the past.
    began: Timestamp,
}

impl EventFilter {
    /// Takes filters, and what finds a container by a client's word.
    ///
    /// # Errors
    /// [`UnknownFilter`] for a filter that there is not.
    pub(super) fn new(
        filters: Filters,
        version: ApiVersion,
        find: impl Fn(&str) -> Option<ContainerId>,
    ) -> Result<Self, UnknownFilter> {
        if let Some(unknown) = filters.as_map().keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(UnknownFilter(unknown.clone()));
        }
        let asked = filters.values("container").iter();
        let containers = asked.filter_map(|asked| Some((asked.clone(), find(asked)?))).collect();
        Ok(Self { filters, containers, version, began: Timestamp::now() })
    }

    /// Whether the listener's filter matches this event.
    pub(super) fn fits(&self, event: &Event) -> bool {
        self.any("event", |wanted| is_action(&event.action, wanted))
            && self.any("type", |wanted| wanted == kind_word(event.kind))
            && self.any("container", |wanted| self.is_container(event, wanted))
            && self.any("image", |wanted| is_image(event, wanted))
            && self.any("volume", |wanted| is_named(event, ResourceKind::Volume, wanted))
            && self.any("network", |wanted| is_named(event, ResourceKind::Network, wanted))
            && self.any("daemon", |wanted| is_named(event, ResourceKind::Daemon, wanted))
            // All that happens, happens on this host.
            && self.any("scope", |wanted| wanted == "local")
            && NEVER.into_iter().all(|name| self.filters.values(name).is_empty())
            && self.filters.values("label").iter().all(|wanted| has_label(&event.actor.attributes, wanted))
    }

    fn any(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.filters.values(name);
        values.is_empty() || values.iter().any(|value| fits(value))
    }

    /// A name stands for the container that has it now, not one that had it before. One that does not exist
    /// yet is identified by the name in the event, a removed one by its id, and in later versions by that
    /// name too.
    fn is_container(&self, event: &Event, wanted: &str) -> bool {
        if event.kind != ResourceKind::Container {
            return false;
        }
        if let Some(id) = self.containers.get(wanted) {
            return event.actor.id == id.as_str();
        }
        let name = event.actor.attributes.get("name").map(String::as_str);
        let names_count = self.version.events_are_found_by_former_names() || event.time >= self.began;
        (!wanted.is_empty() && event.actor.id.starts_with(wanted))
            || (names_count && name == Some(wanted.strip_prefix('/').unwrap_or(wanted)))
    }
}

/// Whether an event is about the thing of this kind with this name, id or beginning of an id.
fn is_named(event: &Event, kind: ResourceKind, wanted: &str) -> bool {
    let name = event.actor.attributes.get("name").map(String::as_str);
    event.kind == kind && !wanted.is_empty() && (name == Some(wanted) || event.actor.id.starts_with(wanted))
}

/// `exec_start: ls` is an `exec_start`.
fn is_action(action: &EventAction, wanted: &str) -> bool {
    action.word() == wanted || action.text() == wanted
}

/// Whether an event is about an image or about a container of it.
fn is_image(event: &Event, wanted: &str) -> bool {
    let attribute = if event.kind == ResourceKind::Container { "image" } else { "name" };
    let named = event.actor.attributes.get(attribute).map_or("", String::as_str);
    let is_by_id = event.kind == ResourceKind::Image && !wanted.is_empty() && {
        let id = event.actor.id.as_str();
        id.starts_with(wanted) || id.strip_prefix("sha256:").is_some_and(|digits| digits.starts_with(wanted))
    };
    is_by_id || named == wanted || repository(named) == wanted || with_tag(named) == with_tag(wanted)
}

/// A reference without its tag.
fn repository(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') && !reference.contains('@') => repository,
        _ => reference,
    }
}

/// A reference with the tag that it means.
fn with_tag(reference: &str) -> String {
    if reference.contains('@') || repository(reference) != reference {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

#[cfg(test)]
mod tests {
    use model::{Actor, Timestamp};

    use super::*;
    use crate::version::{MAX, REFERENCE};

    fn event(kind: ResourceKind, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Event {
            kind,
            action: action.parse().expect("an action"),
            actor: Actor { id: id.to_owned(), attributes },
            time: Timestamp::NEVER,
        }
    }

    fn fits(filters: &str, event: &Event) -> bool {
        EventFilter::new(Filters::parse(filters).expect(filters), MAX, |_| None).expect(filters).fits(event)
    }

    #[test]
    fn containers_by_id_prefix_name_image_and_label() {
        let id = "ab".repeat(32);
        let die =
            event(ResourceKind::Container, "die", &id, &[("name", "web"), ("image", "busybox"), ("a", "b")]);
        for yes in [
            "",
            r#"{"container":["abab"]}"#,
            r#"{"container":["web"]}"#,
            r#"{"container":["/web","x"]}"#,
            r#"{"event":["die"],"type":["container"]}"#,
            r#"{"image":["busybox"]}"#,
            r#"{"image":["busybox:latest"]}"#,
            r#"{"label":["a"]}"#,
            r#"{"label":["a=b"]}"#,
            r#"{"scope":["local"]}"#,
        ] {
            assert!(fits(yes, &die), "{yes}");
        }
        for no in [
            r#"{"container":["we"]}"#,
            r#"{"container":[""]}"#,
            r#"{"event":["DIE"]}"#,
            r#"{"type":["image"]}"#,
            r#"{"image":["busybox:v2"]}"#,
            r#"{"label":["a=c"]}"#,
            r#"{"container":["web"],"event":["start"]}"#,
            r#"{"scope":["swarm"]}"#,
            r#"{"volume":["web"]}"#,
            r#"{"node":["web"]}"#,
        ] {
            assert!(!fits(no, &die), "{no}");
        }
        let exec = event(ResourceKind::Container, "exec_start: ls -l", &id, &[]);
        assert!(fits(r#"{"event":["exec_start"]}"#, &exec) && !fits(r#"{"event":["exec"]}"#, &exec));
    }

    #[test]
    fn a_name_means_the_container_that_has_it_now() {
        let (now, former) = ("ab".repeat(32), "cd".repeat(32));
        let filters = Filters::parse(r#"{"container":["web"]}"#).expect("a filter");
        let filter = EventFilter::new(filters, MAX, |name| {
            (name == "web").then(|| ContainerId::parse(&now).expect("an id"))
        });
        let filter = filter.expect("a known filter");
        let die = |id: &str| event(ResourceKind::Container, "die", id, &[("name", "web")]);
        assert!(filter.fits(&die(&now)));
        assert!(!filter.fits(&die(&former)));
    }

    #[test]
    fn a_name_that_none_has_is_one_to_come_and_later_a_former_one_too() {
        for (version, of_the_past) in [(REFERENCE, false), (MAX, true)] {
            let filters = Filters::parse(r#"{"container":["web"]}"#).expect("a filter");
            let filter = EventFilter::new(filters, version, |_| None).expect("a known filter");
            let mut create = event(ResourceKind::Container, "create", &"ab".repeat(32), &[("name", "web")]);
            assert_eq!(filter.fits(&create), of_the_past, "{version}");
            create.time = Timestamp::now();
            assert!(filter.fits(&create), "{version}");
        }
    }

    #[test]
    fn images_by_name_tag_and_id() {
        let tag = event(ResourceKind::Image, "tag", "host:5000/app:v1", &[("name", "host:5000/app:v1")]);
        for yes in ["host:5000/app", "host:5000/app:v1"] {
            assert!(fits(&format!(r#"{{"image":["{yes}"]}}"#), &tag), "{yes}");
        }
        for no in ["app", "host:5000/app:latest", "host"] {
            assert!(!fits(&format!(r#"{{"image":["{no}/"]}}"#), &tag), "{no}");
        }
        assert!(!fits(r#"{"container":["x"]}"#, &tag), "image events are no container's");
    }

    #[test]
    fn volumes_and_networks_by_name_and_id() {
        let made = event(ResourceKind::Network, "create", "abcdef", &[("name", "own")]);
        for (filters, wanted) in [
            (r#"{"network":["own"]}"#, true),
            (r#"{"network":["abc"]}"#, true),
            (r#"{"network":["ow"]}"#, false),
            (r#"{"network":[""]}"#, false),
            (r#"{"volume":["own"]}"#, false),
            (r#"{"daemon":["own"]}"#, false),
        ] {
            assert_eq!(fits(filters, &made), wanted, "{filters}");
        }
        let mounted = event(ResourceKind::Volume, "mount", "data", &[]);
        assert!(fits(r#"{"volume":["data"]}"#, &mounted));
    }

    #[test]
    fn a_filter_that_there_is_not_is_refused() {
        for filters in [r#"{"nonsense":["x"]}"#, r#"{"event":["die"],"Event":[]}"#] {
            let refused = EventFilter::new(Filters::parse(filters).expect(filters), MAX, |_| None);
            let error = refused.err().expect(filters).to_string();
            assert!(["Invalid filter 'nonsense'", "Invalid filter 'Event'"].contains(&&*error), "{error}");
        }
    }
}
