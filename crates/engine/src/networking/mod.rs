//! Containers in the network: endpoints, resolver files, and links between containers.

mod endpoints;
mod links;
mod service;

pub(crate) use self::endpoints::saved_endpoint;
pub(crate) use self::links::link_entries;
pub(crate) use self::service::Networking;
