//! `berth`: a container engine that speaks the Docker Engine API.
mod http;
fn main() {}
