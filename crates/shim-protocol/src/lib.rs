//! The protocol between the daemon and a container's shim: messages, paths, log and exit records.
//!
//! # The conversation
//! The daemon writes `spec.json` into the container's [`RunDirectory`] and spawns the shim with one end of a
//! `SOCK_SEQPACKET` pair as descriptor 3. The shim makes the container at once and sends [`Notice::Created`]
//! with the container's network namespace as descriptor beside it; the daemon wires the network and sends
//! [`Request::Start`]; the shim lets init continue and sends [`Notice::Started`] or [`Notice::StartFailed`].
//! Later daemons connect to [`RunDirectory::socket`] and get [`Notice::Created`], [`Notice::Started`] and the
//! rest of the state again (a snapshot), then continue as the first would.
//!
//! The first packet each way is the protocol's number ([`PROTOCOL`]). The daemon restores a lost connection;
//! the container is dead only when the shim's process is.
//!
//! One packet is one JSON message, or a fragment of one that is longer ([`PIECES_SINCE`]); descriptors travel beside
//! it (`SCM_RIGHTS`).

pub mod log;
mod message;
pub mod names;
mod pieces;
mod records;
mod relay;
mod run_directory;
mod version;

pub use message::*;
pub use pieces::{MAXIMUM_MESSAGE, PIECES_SINCE, Pieces, TooLong, packets};
pub use records::ShimProcesses;
pub use relay::RelayedPort;
pub use run_directory::RunDirectory;
pub use version::{PROTOCOL, Received, UNNUMBERED};
