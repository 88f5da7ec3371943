//! Opens the engine: makes its services, then finds the state as it is after whatever happened to the
//! last daemon.

mod foundations;
mod identity;
mod interrupted_start;
mod lost;
mod open;
mod order;
mod reconcile;
mod state;
