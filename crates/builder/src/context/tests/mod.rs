//! Contexts from the body, from addresses and from repositories, hostile ones among them.

mod body;
mod repositories;
mod servers;

use crate::fixture::{Built, Fixture};
use crate::{BuildRequest, ContextSource};

/// Builds with `remote=`.
fn remote(fixture: &Fixture, address: &str, change: impl FnOnce(&mut BuildRequest)) -> Built {
    let address = address.to_owned();
    fixture.build_bytes(Vec::new(), |request| {
        request.context = ContextSource::Remote(address);
        change(request);
    })
}
