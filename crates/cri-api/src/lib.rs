//! Kubernetes' container runtime interface in front of berth's engine: gRPC over a unix socket.
//!
//! [`Api`] answers the calls of `runtime.v1`, [`serve`] carries one connection. A call that is not served
//! answers `UNIMPLEMENTED`.

mod calls;
mod connection;
mod grpc;
mod image_service;
mod runtime_service;
mod status;
mod time;
pub mod wire;

pub use calls::Api;
pub use connection::serve;
