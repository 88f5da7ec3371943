//! Kubernetes' container runtime interface, by a client of gRPC over the real socket.

mod containers;
mod devices;
mod events;
mod floods;
mod images;
mod kills;
mod metrics;
mod plugins;
mod pod;
mod pods;
mod refusals;
mod runtime;
mod streams;
mod unified;
mod units;
mod users;

use berth_tests::Engine;
use berth_tests::cri::FLAG;

/// An engine that serves the interface.
fn engine() -> Engine {
    Engine::start_with_flags(&[FLAG])
}
