//! Names of containers on user-defined networks: what the daemon writes, and shims answer from.
//!
//! Each network has one [`NamesFile`] in the exec root with the names of all containers that run on it. The
//! daemon keeps a [`NetworkNames`] for each network and replaces the file when they change; every shim of
//! the network reads it when it gets a query. Which files a shim reads, and what else its container
//! alone knows, is its [`NameService`].

mod escape;
mod file;
mod network_names;
mod service;

pub use escape::{dns_text, lookup_text};
pub use file::{LONGEST_NAMES_FILE, MOST_ADDRESSES, NamesFile, NamesFileError};
pub use network_names::{NamedEndpoint, NetworkNames, names_file, replace_names_file};
pub use service::{Link, NameService, NamesOfNetwork, Upstream, UpstreamNamespace};
