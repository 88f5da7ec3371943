//! The rows of the database: what each table holds, and how it is written.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::{
    ContainerId, Event, ExecId, NetworkDefinition, NetworkId, Timestamp, UnknownAction, VolumeDriverKind,
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::container::ContainerColumns;
use super::json::json;
use crate::record::Record;

/// Events that are kept; the reference keeps 64, which a busy engine outruns in a second.
pub(crate) const KEPT_EVENTS: u32 = 1024;

/// Rows of dropped events are deleted when there are so many.
const FORGOTTEN_EVENTS: u64 = 128;

/// One row to be written or deleted.
#[derive(Debug, Clone)]
pub(crate) enum Row {
    /// Writes a container.
    Container(Arc<Record>),
    /// Deletes a container, and what was moved aside of it.
    NoContainer(ContainerId),
    /// Writes a volume, unless it is there.
    Volume(VolumeRow),
    /// Deletes a volume.
    NoVolume(String),
    /// Writes a network.
    Network(NetworkRow),
    /// Deletes a network.
    NoNetwork(NetworkId),
    /// Writes an exec.
    Exec(ExecRow),
    /// Deletes an exec.
    NoExec(ExecId),
    /// Deletes the execs of a container.
    NoExecs(ContainerId),
    /// Writes an event, and now and then deletes old ones.
    Event { number: u64, event: Event },
    /// Writes a setting of the engine's own.
    Setting { name: &'static str, value: String },
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeRow {
    pub(crate) name: String,
    /// The driver that stores its content.
    pub(crate) driver: VolumeDriverKind,
    /// The driver's options.
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether it was made for a container that named none.
    pub(crate) anonymous: bool,
    pub(crate) created: Timestamp,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkRow {
    pub(crate) id: NetworkId,
    pub(crate) document: NetworkDocument,
}

/// The saved part of a network except its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkDocument {
    pub(crate) created: Timestamp,
    pub(crate) definition: NetworkDefinition,
    /// Of a bridge that is not the engine's own, the addresses that it has.
    pub(crate) shared_bridge: Option<Vec<IpAddr>>,
}

/// An exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExecRow {
    pub(crate) id: ExecId,
    pub(crate) container: ContainerId,
    pub(crate) document: ExecDocument,
}

/// The saved part of an exec except its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecDocument {
    pub(crate) config: ExecConfigDocument,
    pub(crate) state: ExecStateDocument,
}

/// The configuration of an exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecConfigDocument {
    pub(crate) user: String,
    pub(crate) privileged: bool,
    pub(crate) tty: bool,
    pub(crate) attach_stdin: bool,
    pub(crate) attach_stdout: bool,
    pub(crate) attach_stderr: bool,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) working_dir: String,
    pub(crate) detach_keys: Vec<u8>,
    pub(crate) console_size: Option<(u16, u16)>,
}

/// Where an exec is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExecStateDocument {
    Created,
    Running(u32),
    Exited(i32),
}

/// The saved part of an event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventDocument {
    pub(super) kind: EventKindDocument,
    pub(super) action: String,
    pub(super) id: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) time: Timestamp,
}

/// The kind of an event's object.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventKindDocument {
    Container,
    Image,
    Volume,
    Network,
    Daemon,
    Builder,
}

impl Row {
    /// Writes it within a transaction.
    pub(super) fn write(&self, transaction: &Connection) -> rusqlite::Result<()> {
        let run = |statement: &str, values: &[&dyn rusqlite::ToSql]| {
            transaction.prepare_cached(statement)?.execute(values).map(drop)
        };
        match self {
            Self::Container(record) => {
                let ContainerColumns { id, name, settings, state, pod } = ContainerColumns::of(record)?;
                run(
                    "INSERT OR REPLACE INTO containers VALUES (?, ?, ?, ?, ?)",
                    params![id, name, settings, state, pod],
                )
            }
            Self::NoContainer(id) => {
                run("DELETE FROM containers WHERE id = ?", params![id.as_str()])?;
                let aside = "DELETE FROM unreadable WHERE origin = 'containers' AND key = ?";
                run(aside, params![id.as_str()])
            }
            Self::Volume(volume) => {
                let VolumeRow { name, driver, options, labels, anonymous, created } = volume;
                let (options, labels) = (json(options)?, json(labels)?);
                run(
                    "INSERT OR IGNORE INTO volumes VALUES (?, ?, ?, ?, ?, ?)",
                    params![name, driver.name(), options, labels, anonymous, created.to_string()],
                )
            }
            Self::NoVolume(name) => run("DELETE FROM volumes WHERE name = ?", params![name]),
            Self::Network(NetworkRow { id, document }) => run(
                "INSERT OR REPLACE INTO networks VALUES (?, ?, ?)",
                params![id.as_str(), document.definition.name, json(document)?],
            ),
            Self::NoNetwork(id) => run("DELETE FROM networks WHERE id = ?", params![id.as_str()]),
            Self::Exec(exec) => run(
                "INSERT OR REPLACE INTO execs VALUES (?, ?, ?)",
                params![exec.id.as_str(), exec.container.as_str(), json(&exec.document)?],
            ),
            Self::NoExec(id) => run("DELETE FROM execs WHERE id = ?", params![id.as_str()]),
            Self::NoExecs(container) => {
                run("DELETE FROM execs WHERE container = ?", params![container.as_str()])
            }
            Self::Event { number, event } => {
                let document = json(&EventDocument::of(event))?;
                let values = params![number.cast_signed(), document];
                run("INSERT OR REPLACE INTO events VALUES (?, ?)", values)?;
                if !number.is_multiple_of(FORGOTTEN_EVENTS) {
                    return Ok(());
                }
                let first = number.saturating_sub(u64::from(KEPT_EVENTS));
                run("DELETE FROM events WHERE number < ?", params![first.cast_signed()])
            }
            Self::Setting { name, value } => {
                run("INSERT OR REPLACE INTO settings VALUES (?, ?)", params![name, value])
            }
        }
    }

    /// Whether this row, written later, makes another superfluous.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Container(record), Self::Container(other)) => record.id == other.id,
            (Self::Container(record), Self::NoContainer(id))
            | (Self::NoContainer(id), Self::Container(record)) => record.id == *id,
            (Self::NoContainer(id), Self::NoContainer(other)) => id == other,
            (Self::Volume(VolumeRow { name, .. }) | Self::NoVolume(name), Self::NoVolume(other)) => {
                name == other
            }
            (Self::NoVolume(name), Self::Volume(other)) => *name == other.name,
            (Self::Network(network), Self::Network(other)) => network.id == other.id,
            (Self::NoNetwork(id), Self::Network(NetworkRow { id: other, .. }) | Self::NoNetwork(other)) => {
                id == other
            }
            (Self::Exec(exec), Self::Exec(other)) => exec.id == other.id,
            (Self::NoExec(id), Self::Exec(ExecRow { id: other, .. }) | Self::NoExec(other)) => id == other,
            (Self::NoExecs(container), Self::Exec(other)) => *container == other.container,
            (Self::NoExecs(container), Self::NoExecs(other)) => container == other,
            _ => false,
        }
    }
}

impl EventDocument {
    fn of(event: &Event) -> Self {
        Self {
            kind: event.kind.into(),
            action: event.action.to_string(),
            id: event.actor.id.clone(),
            attributes: event.actor.attributes.clone(),
            time: event.time,
        }
    }

    /// The event.
    ///
    /// # Errors
    /// An action that there is not.
    pub(super) fn event(self) -> Result<Event, UnknownAction> {
        let actor = model::Actor { id: self.id, attributes: self.attributes };
        Ok(Event { kind: self.kind.into(), action: self.action.parse()?, actor, time: self.time })
    }
}

impl From<model::ResourceKind> for EventKindDocument {
    fn from(kind: model::ResourceKind) -> Self {
        match kind {
            model::ResourceKind::Container => Self::Container,
            model::ResourceKind::Image => Self::Image,
            model::ResourceKind::Volume => Self::Volume,
            model::ResourceKind::Network => Self::Network,
            model::ResourceKind::Daemon => Self::Daemon,
            model::ResourceKind::Builder => Self::Builder,
        }
    }
}

impl From<EventKindDocument> for model::ResourceKind {
    fn from(kind: EventKindDocument) -> Self {
        match kind {
            EventKindDocument::Container => Self::Container,
            EventKindDocument::Image => Self::Image,
            EventKindDocument::Volume => Self::Volume,
            EventKindDocument::Network => Self::Network,
            EventKindDocument::Daemon => Self::Daemon,
            EventKindDocument::Builder => Self::Builder,
        }
    }
}
