//! Containers in networks: endpoints, resolver files, and links between containers.

pub(crate) mod attachments;
mod endpoints;
mod hosts_files;
mod interface_names;
mod leases;
mod links;
pub(crate) mod live;
pub(crate) mod moving;
pub(crate) mod name_servers;
pub(crate) mod relays;
mod resolver_files;
mod service;

pub(crate) use self::endpoints::saved_lease;
pub(crate) use self::links::link_entries;
pub(crate) use self::service::Networking;
