//! Names of containers on user-defined networks: files that the daemon writes, and shims answer from.
//!
//! Each network has one [`NamesFile`] in the exec root with the names of all containers that run on it. The
//! daemon keeps a [`NetworkNames`] for each network and replaces the file when they change; every shim of the
//! network reads it when it gets a query. The files that a shim reads, and its container's own links and
//! servers, are its [`NameService`].

mod escape;
mod file;
mod network_names;
mod service;

pub use escape::{dns_text, lookup_text};
pub use file::{LONGEST_NAMES_FILE, MOST_ADDRESSES, NamesFile, NamesFileError};
pub use network_names::{NamedEndpoint, NetworkNames, names_file, replace_names_file};
pub use service::{Link, NameService, NamesOfNetwork, Upstream, UpstreamNamespace};
