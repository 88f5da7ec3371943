//! The stdio of running containers: attached clients, and the size of the terminal.

mod attach;
mod resize;
mod service;

pub use self::attach::{AttachRequest, AttachSession};
pub use self::service::Streams;
