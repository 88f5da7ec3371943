//! Scopes of systemd: cgroups that the host's service manager makes, limits and removes, over D-Bus.
//!
//! ```text
//! process in <slice>/<scope> ──start_scope──▶ a unit with limits ──its last process ends──▶ removed by systemd
//!                                                                └─stop_scope──────────────▶ certainly gone
//! ```

mod bus;
mod error;
mod properties;
mod scope;
mod slice;

pub use bus::Systemd;
pub use error::Error;
pub use scope::Scope;
pub use slice::Slice;
