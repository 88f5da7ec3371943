//! Drives the real daemon over its socket, as its users do.
//!
//! [`Engine`] starts a daemon of its own for each test: own data and state directories, own socket, own
//! network namespace. When it is dropped it removes what the test made, stops the daemon and checks the host:
//! a process, mount, cgroup, interface, firewall rule, file or database row that is left fails the test.
//!
//! The client ([`http`]) is written on plain sockets so that hijacked, upgraded, half-closed and malformed
//! connections can be driven byte by byte.

mod address;
mod api;
mod before;
mod building;
pub mod cgroup;
pub mod channels;
pub mod cli;
mod client_programs;
mod containers;
pub mod cri;
pub mod debian;
mod engine;
mod executable;
mod finish;
mod flood;
pub mod frames;
pub mod golden;
pub mod host;
pub mod http;
pub mod images;
pub mod initramfs;
pub mod listener;
mod loop_device;
mod memory_limit;
mod namespaces;
pub mod other_host;
mod past_events;
pub mod peer_builds;
mod pipe;
mod random;
pub mod registry;
pub mod rootfs;
pub mod saved;
pub mod services;
mod set_on_drop;
pub mod silent_mount;
mod small_disk;
pub mod spdy;
pub mod tarball;
pub mod terminal;
pub mod today;
pub mod volumes;
pub mod wait;

pub use address::Address;
pub use api::{Answer, Client, merged, query, sh};
pub use building::{Built, Context, Entry};
pub use client_programs::{Program, client_files, installed, node};
pub use engine::{Engine, Options, program};
pub use executable::install;
pub use loop_device::LoopDevice;
pub use pipe::piped;
pub use random::{Random, variable};
pub use services::Service;
pub use set_on_drop::SetOnDrop;
pub use small_disk::SmallDisk;
