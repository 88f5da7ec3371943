//! gRPC over one HTTP/2 connection, as a server and as a client: frames of messages, metadata, statuses.
//!
//! The protocol is <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, without compression and
//! without deadlines of its own.

mod client;
mod frame;
mod server;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use client::{Answers, Channel, Requests};
pub(crate) use frame::Messages;
pub(crate) use server::{Answer, Call, Handler, Replies, serve};
pub(crate) use status::{Code, Status};
