//! What is measured, in the order of the table.

mod building;
mod buildkit;
mod composing;
mod copying;
mod crowd;
mod disk_usage;
mod events;
mod exec;
mod health;
mod images;
mod lifecycle;
mod listing;
mod logs;
mod looking;
mod many_networks;
mod memory;
mod networks;
mod pods;
mod ports;
mod pulls;
mod restart;
mod streams;
mod throughput;
mod updating;
mod volumes;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;

/// A measurement: it may give several values.
pub(crate) struct Measurement {
    /// By which it is chosen.
    pub(crate) name: &'static str,
    /// Measures.
    pub(crate) run: fn(&mut Engine, &Arguments) -> anyhow::Result<Vec<Sample>>,
}

/// All of them.
pub(crate) const MEASUREMENTS: &[Measurement] = &[
    Measurement { name: "memory", run: memory::measure },
    Measurement { name: "lifecycle", run: lifecycle::measure },
    Measurement { name: "port", run: ports::measure },
    Measurement { name: "throughput", run: throughput::measure },
    Measurement { name: "crowd", run: crowd::measure },
    Measurement { name: "network", run: networks::measure },
    Measurement { name: "many-networks", run: many_networks::measure },
    Measurement { name: "compose", run: composing::measure },
    Measurement { name: "exec", run: exec::measure },
    Measurement { name: "health", run: health::measure },
    Measurement { name: "list", run: listing::measure },
    Measurement { name: "update", run: updating::measure },
    Measurement { name: "stream", run: streams::measure },
    Measurement { name: "logs", run: logs::measure },
    Measurement { name: "pull", run: pulls::measure },
    Measurement { name: "look", run: looking::measure },
    Measurement { name: "copy", run: copying::measure },
    Measurement { name: "events", run: events::measure },
    Measurement { name: "images", run: images::measure },
    Measurement { name: "usage", run: disk_usage::measure },
    Measurement { name: "build", run: building::measure },
    Measurement { name: "buildx", run: buildkit::measure },
    Measurement { name: "volume", run: volumes::measure },
    Measurement { name: "pods", run: pods::measure },
    Measurement { name: "restart", run: restart::measure },
];
