//! Streams of containers over URLs that are good once: commands, attachments, ports.
//!
//! ```text
//! Exec, Attach, PortForward ──▶ Sessions::offer ──URL──▶ kubelet ──upgrade──▶ server ──streams──▶ session
//! ```

mod command;
mod connection;
mod exchange;
mod offers;
mod port_forward;
mod server;
mod spdy;
mod stream;
mod tunnel;
mod upgrade;
mod websocket;

pub(crate) use offers::Session;
pub(crate) use server::StreamingServer;
