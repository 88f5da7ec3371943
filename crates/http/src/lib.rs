//! HTTP/1.x as the Docker API needs it: plain requests, endless streams, and connections that stop being HTTP.
//!
//! One task serves one connection. It reads a head, passes an [`Exchange`] to the [`Service`] and, when the
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
mod json_list;
mod metered;
mod output;
mod pipe;
mod response;
mod transport;

pub use body::{Body, BodyError};
pub use chunked::ChunkError;
pub use connection::{Service, Settings, request_budget, serve};
pub use exchange::{Exchange, Gone, StreamKind};
pub use head::RequestHead;
pub use hijack::Hijacked;
pub use json_list::JsonList;
pub use metered::{Meter, Metered};
pub use output::Output;
pub use pipe::{PipeReader, PipeWriter, reader_pipe, writer_pipe};
pub use response::Response;
pub use transport::{Transport, TransportStream};
