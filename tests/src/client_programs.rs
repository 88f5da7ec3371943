//! Clients that others wrote, as `scripts/setup` installs them.

use std::path::PathBuf;

/// Where `scripts/setup` has put what a client needs.
///
/// # Panics
/// When it has not.
#[must_use]
pub fn installed(client: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let path = test.ancestors().nth(3).expect("the target directory").join("clients").join(client);
    assert!(path.exists(), "{} is missing: run scripts/setup", path.display());
    path
}
