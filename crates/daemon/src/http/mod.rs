//! HTTP/1.x as the Docker API needs it: plain requests, endless streams, and connections that stop being HTTP.
//!
//! One task serves one connection. It reads a head, hands an [`Exchange`] to the [`Service`] and, when the
//! exchange is over, decides whether the connection can carry another one:
//!
//! ```text
//! idle ──head──▶ exchange ──answered, body read──▶ idle
//!                   ├──answered, body left or not reusable──▶ lingering close
//!                   └──hijacked──▶ the descriptor belongs to the session
//! ```

mod body;
mod chunked;
mod connection;
mod date;
mod exchange;
mod head;
mod hijack;
mod output;
mod pipe;
mod response;
mod transport;

pub(crate) use body::{Body, BodyError};
pub(crate) use connection::{Service, Settings, serve};
pub(crate) use exchange::{Exchange, Gone};
pub(crate) use head::RequestHead;
pub(crate) use hijack::Hijacked;
pub(crate) use output::Output;
pub(crate) use pipe::{PipeReader, PipeWriter, reader_pipe, writer_pipe};
pub(crate) use response::Response;
pub(crate) use transport::{Transport, TransportStream};
