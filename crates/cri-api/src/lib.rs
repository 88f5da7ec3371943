//! Kubernetes' container runtime interface in front of berth's engine: gRPC over a unix socket.
//!
//! [`Api`] answers the calls of `runtime.v1`, [`serve`] carries one connection. A call that is not served
//! answers `UNIMPLEMENTED`.

mod blocking;
mod calls;
mod connection;
mod description;
mod grpc;
mod image_service;
mod list_streams;
mod runtime_service;
mod settings;
mod signals;
mod status;
mod streaming;
mod time;

pub use calls::Api;
pub use connection::serve;
pub(crate) use cri_messages as wire;
