//! The gateway: a client that drives its build requests the results of frontends, and returns the build's result.

mod file;
mod lookup;
mod result;
mod solve;

pub(crate) use file::{read_file, stat_file};
pub(crate) use result::{evaluate, inputs, ping, take_return};
pub(crate) use solve::solve;
