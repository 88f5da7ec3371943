//! The stdio of running containers: attached clients, and the size of the terminal.

mod attach;
mod frames;
mod resize;
mod service;

pub use self::attach::{AttachRequest, AttachSession};
pub use self::frames::Frames;
pub use self::service::Streams;
