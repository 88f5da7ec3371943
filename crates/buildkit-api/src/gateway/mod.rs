//! The gateway: a client that drives its build asks for the results of frontends, and says which one the build has.

mod lookup;
mod result;
mod solve;

pub(crate) use result::{evaluate, inputs, ping, take_return};
pub(crate) use solve::solve;
