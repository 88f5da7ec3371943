//! Registries for tests, in the network of an engine: Debian's, and one that misbehaves as a test wants.

mod certificates;
mod content;
mod debian;
mod network;
mod stream;
mod token;
mod web;

pub use certificates::Certificates;
pub use content::{Content, digest, gzip, noise, tar_of};
pub use debian::{Protection, Registry};
pub use network::within_network;
pub use stream::{Messages, authorization, config_header, pull, push};
pub use token::TokenService;
pub use web::{Asked, Ending, Gate, Reply, Server};
