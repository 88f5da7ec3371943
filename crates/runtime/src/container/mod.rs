//! A container's life as the shim drives it.
//!
//! ```text
//! create() → Created ──start()──→ Running ──signal, pause, exec…──→ destroy()
//!               └────drop: killed and removed
//! ```

mod create;
mod descendants;
mod exec;
mod known_filter;
mod running;
mod start;
mod step;

pub use create::{Given, create};
pub use running::{Created, Exec, ExecRequest, Probe, Running};
