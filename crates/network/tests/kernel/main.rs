//! The network on the real kernel. Needs root.
//!
//! Each test makes a host of its own: a thread in a network namespace of its own, with an interface to
//! another namespace that is the outside world. Containers are further namespaces. All of it is
//! gone when the thread ends, however it ends; this machine's own network is never touched.

mod connect;
mod faults;
mod frames;
mod host_rules;
mod hostile;
mod ipv6;
mod isolation;
mod kill;
mod live;
mod many;
mod networks;
mod open;
mod publish;
mod spare_bridges;
mod world;
