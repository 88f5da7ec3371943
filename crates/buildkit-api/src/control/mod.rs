//! The control service: builds are requested, watched and listed.

mod history;
mod history_filter;
mod information;
mod session;
mod solve;
mod status;
mod usage;

pub(crate) use history::{listen_history, update_history};
pub(crate) use information::{health, info, list_workers};
pub(crate) use session::session;
pub(crate) use solve::solve;
pub(crate) use status::{merge, status};
pub(crate) use usage::{disk_usage, prune};
