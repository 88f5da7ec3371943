//! The driver `macvlan`: containers have interfaces with hardware addresses of their own on one of the host's.

use std::collections::BTreeMap;

use network::{MacvlanMode, Sharing};

use super::options::{bad, text};
use crate::error::Error;

/// The prefix of the interfaces that are made as parents of networks without one; the network's short id follows.
pub(super) const DUMMY_PREFIX: &str = "dm-";

const MODE: &str = "macvlan_mode";

/// Reads the options.
///
/// # Errors
/// An unknown mode.
pub(super) fn sharing(options: &BTreeMap<String, String>) -> Result<Sharing, Error> {
    let mode = match text(options, MODE) {
        None | Some("bridge") => MacvlanMode::Bridge,
        Some("private") => MacvlanMode::Private,
        Some("vepa") => MacvlanMode::Vepa,
        Some("passthru") => MacvlanMode::Passthru,
        Some(value) => return Err(bad(MODE, value, "the modes are bridge, private, vepa and passthru")),
    };
    Ok(Sharing::Macvlan(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let read = |mode: &str| sharing(&[(MODE.to_owned(), mode.to_owned())].into());
        for (text, mode) in [
            ("", MacvlanMode::Bridge),
            ("private", MacvlanMode::Private),
            ("vepa", MacvlanMode::Vepa),
            ("passthru", MacvlanMode::Passthru),
        ] {
            assert_eq!(read(text).expect(text), Sharing::Macvlan(mode));
        }
        assert!(read("l2").expect_err("no mode").to_string().contains("macvlan_mode value: \"l2\""));
    }
}
