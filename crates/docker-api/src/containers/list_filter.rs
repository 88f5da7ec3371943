//! Which containers a list shows: kinds of filters must all hold, of one kind any value, of labels all.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use engine::{Engine, Phase, Record, pattern};
use model::{Digest, ExposedPorts, Protocol};
use regex_lite::Regex;

use crate::ApiError;
use crate::filters::Filters;
use crate::version;
use crate::wire::{WirePort, health_word, shown_ports};

/// The filters of containers; any other is refused.
const NAMES: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATUSES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
/// The states of health; containers without a check have `none`.
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
/// Ways to keep a container apart; on Linux there is the default one alone.
const ISOLATIONS: [&str; 4] = ["", "default", "process", "hyperv"];
/// Tasks are a swarm's containers, of which there are none here.
const TASKS: [&str; 2] = ["true", "false"];

/// A client's filters, checked and parsed; `since` and `before` belong to the list.
pub(super) struct ListFilter {
    filters: Filters,
    exit_codes: Vec<i32>,
    names: Vec<Regex>,
    exposed: Vec<PortRange>,
    published: Vec<PortRange>,
    /// The images of the `ancestor` filter, with all that were built upon them.
    lineage: HashSet<Digest>,
}

/// From one port to another of a protocol.
struct PortRange {
    numbers: RangeInclusive<u16>,
    protocol: Protocol,
}

impl ListFilter {
    /// Takes a client's filters.
    ///
    /// # Errors
    /// 400 for an unknown filter, and for a value that none of its containers could have.
    pub(super) fn read(filters: Filters, engine: &Engine) -> Result<Self, ApiError> {
        if let Some(unknown) = filters.as_map().keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(ApiError::bad_request(format!("Invalid filter '{unknown}'")));
        }
        if filters.values("status").iter().any(|status| !STATUSES.contains(&status.as_str())) {
            return Err(ApiError::bad_request("Unrecognised filter value for status"));
        }
        one_of(&filters, "health", &HEALTHS)?;
        one_of(&filters, "isolation", &ISOLATIONS)?;
        one_of(&filters, "is-task", &TASKS)?;
        let exit_codes = filters.values("exited").iter().map(|code| {
            code.parse()
                .map_err(|_| ApiError::bad_parameter(format!("exited must be a whole number, not {code:?}")))
        });
        let exit_codes = exit_codes.collect::<Result<_, _>>()?;
        let names = pattern::alternatives(filters.values("name")).map_err(ApiError::bad_request)?;
        let store = engine.images.store();
        // An image that is not there has no containers.
        let ancestors = filters.values("ancestor").iter().filter_map(|image| store.platforms_of(image).ok());
        let ancestors = ancestors.flatten();
        let lineage = ancestors.flat_map(|ancestor| store.descendants(&ancestor)).collect();
        let (exposed, published) = (port_ranges(&filters, "expose")?, port_ranges(&filters, "publish")?);
        Ok(Self { filters, exit_codes, names, exposed, published, lineage })
    }

    /// Whether a container matches the filters.
    pub(super) fn fits(&self, record: &Record) -> bool {
        let has_exited =
            || !record.is_running() && record.has_run() && self.exit_codes.contains(&record.exit_code);
        let has_name = || {
            let name = format!("/{}", record.name);
            self.names.iter().any(|pattern| pattern.is_match(&name) || pattern.is_match(&record.name))
        };
        self.holds("exited", has_exited)
            && self.holds("name", has_name)
            && self.holds("ancestor", || self.lineage.contains(&record.image))
            && self.holds("expose", || has_port(record, &self.exposed, |port| port.private_port))
            && self.holds("publish", || has_port(record, &self.published, |port| port.public_port))
            && self.any("status", |status| status_words(record).contains(&status))
            && self.any("id", |id| !id.is_empty() && record.id.as_str().starts_with(id))
            && self.any("network", |network| is_in(record, network))
            && self.any("volume", |volume| has_mount(record, volume))
            && self.any("health", |health| health_word(record.health.as_deref()) == health)
            && self.any("isolation", |isolation| isolation.is_empty() || isolation == "default")
            && self.any("is-task", |is_task| is_task == "false")
            && self.filters.values("label").iter().all(|label| has_label(record, label))
    }

    /// Whether a filter is not set, or holds.
    fn holds(&self, name: &str, fits: impl FnOnce() -> bool) -> bool {
        self.filters.values(name).is_empty() || fits()
    }

    /// Whether a filter is not set, or holds for one of its values.
    fn any(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        self.holds(name, || self.filters.values(name).iter().any(|value| fits(value)))
    }
}

/// Refuses an unknown value of a filter.
fn one_of(filters: &Filters, name: &str, known: &[&str]) -> Result<(), ApiError> {
    match filters.values(name).iter().find(|value| !known.contains(&value.as_str())) {
        Some(value) => Err(ApiError::bad_request(format!("Invalid filter '{name}={value}'"))),
        None => Ok(()),
    }
}

/// The ports of a filter, such as `80`, `53/udp` or `8000-8080/tcp`.
fn port_ranges(filters: &Filters, name: &str) -> Result<Vec<PortRange>, ApiError> {
    let ranges = filters.values(name).iter().map(|text| match text.parse() {
        Ok(ExposedPorts::Range { first, last, protocol }) if first <= last => {
            Ok(PortRange { numbers: first..=last, protocol })
        }
        Ok(ExposedPorts::Range { .. } | ExposedPorts::Nothing) => Err(ApiError::bad_parameter(format!(
            "{name} must be a port or a range of ports such as 80, 53/udp or 8000-8080/tcp, not {text:?}"
        ))),
    });
    ranges.collect()
}

/// Whether the list shows a container with one of these ports, as the one number or the other of a published
/// one. Number 0 is that of a port which is not published.
fn has_port(record: &Record, ranges: &[PortRange], number: impl Fn(&WirePort) -> u16) -> bool {
    shown_ports(record, version::MAX).iter().any(|port| {
        let (number, protocol) = (number(port), &port.kind);
        let fits =
            |range: &PortRange| range.numbers.contains(&number) && range.protocol.to_string() == *protocol;
        number != 0 && ranges.iter().any(fits)
    })
}

/// The words of the `status` filter that a container fits.
fn status_words(record: &Record) -> &'static [&'static str] {
    match record.phase {
        Phase::Created => &["created"],
        // It has not run: its start failed, or is under way.
        Phase::Starting | Phase::Exited if !record.has_run() => &["created"],
        Phase::Running(_) => &["running"],
        Phase::Paused(_) => &["paused"],
        Phase::Restarting => &["restarting"],
        Phase::Starting | Phase::Exited => &["exited"],
        Phase::Removing => &["dead", "removing"],
    }
}

/// Whether a container is in a network of this name.
fn is_in(record: &Record, wanted: &str) -> bool {
    record.endpoints.iter().any(|endpoint| {
        let id = endpoint.network.as_ref();
        endpoint.name == wanted || (!wanted.is_empty() && id.is_some_and(|id| id.as_str() == wanted))
    })
}

/// Whether a volume of this name, or something at this path of the container or of the host, is mounted.
fn has_mount(record: &Record, wanted: &str) -> bool {
    record.mounts.iter().any(|mount| {
        !wanted.is_empty()
            && (mount.is_volume(wanted) || mount.source == wanted || mount.destination == wanted)
    })
}

fn has_label(record: &Record, wanted: &str) -> bool {
    let labels = record.settings.labels.as_ref();
    match wanted.split_once('=') {
        Some((key, value)) => {
            labels.is_some_and(|labels| labels.get(key).is_some_and(|known| known == value))
        }
        None => labels.is_some_and(|labels| labels.contains_key(wanted)),
    }
}
