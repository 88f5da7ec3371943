//! Events, as the engine publishes them.

mod action;

use std::collections::BTreeMap;

pub use self::action::{EventAction, UnknownAction};
use crate::Timestamp;

/// The kind of an event's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// A container; the event's id is its full id.
    Container,
    /// An image; the event's id is the reference or id that the act named.
    Image,
    /// A named or anonymous volume.
    Volume,
    /// A network.
    Network,
    /// The engine itself.
    Daemon,
    /// The cache of builds.
    Builder,
}

/// The object of an event, with its properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// Full id of the container, or reference of the image.
    pub id: String,
    /// `image`, `name`, `exitCode`, `signal`, labels…
    pub attributes: BTreeMap<String, String>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The kind of its object.
    pub kind: ResourceKind,
    /// The action.
    pub action: EventAction,
    /// To what.
    pub actor: Actor,
    /// When.
    pub time: Timestamp,
}
