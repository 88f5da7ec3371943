//! The driver `macvlan`: containers have interfaces with hardware addresses of their own on one of the host's.

use std::collections::BTreeMap;

use network::{MacvlanMode, Sharing};

use super::options::{bad, text};
use crate::error::Error;

/// How the parents of networks that name none are called, with the network's short id behind.
pub(super) const DUMMY_PREFIX: &str = "dm-";

const MODE: &str = "macvlan_mode";

/// What the options say.
///
/// # Errors
/// A mode that there is not.
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
