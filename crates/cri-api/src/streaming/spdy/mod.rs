//! SPDY/3.1, by which kubelets and their clients carry several streams over one upgraded connection.
//!
//! Their implementations neither send nor heed windows of flow control: what holds a fast sender back is the connection.

mod connection;
mod frame;
mod headers;

pub(super) use connection::accept;
