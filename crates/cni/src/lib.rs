//! The container network interface (CNI), specification 1.1: plugins of the host connect pods to networks.
//!
//! ```text
//! Network::first      the configuration that holds: the first file of its directory
//! Plugins::prepare ─▶ add ─▶ (check) ─▶ delete      one attachment: a pod's interface in a network
//!     └─ saved before the first plugin runs, with the result after the last: a crash at any moment leaves
//!        what is deleted at the next start
//! Plugins::status, Plugins::collect_garbage          of a network
//! ```
//!
//! Everything is synchronous; a plugin that does not end is killed, and so is one whose addition is cancelled.

mod attachment;
mod cancellation;
mod conversation;
mod error;
mod network;
mod plugins;
mod program;
mod request;
mod result;
mod version;

pub use attachment::Attachment;
pub use cancellation::Cancellation;
pub use error::Error;
pub use network::Network;
pub use plugins::{Directories, Plugins};
pub use version::Version;
