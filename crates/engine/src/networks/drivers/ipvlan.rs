//! The driver `ipvlan`: containers have interfaces with the hardware address of one of the host's.

use std::collections::BTreeMap;

use network::{IpvlanFlag, IpvlanMode, Sharing};

use super::options::{bad, text};
use crate::error::Error;

/// The prefix of the interfaces that are made as parents of networks without one; the network's short id follows.
pub(super) const DUMMY_PREFIX: &str = "di-";

const MODE: &str = "ipvlan_mode";
const FLAG: &str = "ipvlan_flag";

/// Reads the options.
///
/// # Errors
/// An unknown mode or flag.
pub(super) fn sharing(options: &BTreeMap<String, String>) -> Result<Sharing, Error> {
    let mode = match text(options, MODE) {
        None | Some("l2") => IpvlanMode::L2,
        Some("l3") => IpvlanMode::L3,
        Some("l3s") => IpvlanMode::L3s,
        Some(value) => return Err(bad(MODE, value, "the modes are l2, l3 and l3s")),
    };
    let flag = match text(options, FLAG) {
        None | Some("bridge") => IpvlanFlag::Bridge,
        Some("private") => IpvlanFlag::Private,
        Some("vepa") => IpvlanFlag::Vepa,
        Some(value) => return Err(bad(FLAG, value, "the flags are bridge, private and vepa")),
    };
    Ok(Sharing::Ipvlan { mode, flag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_flags_are_read() {
        let read = |name: &str, value: &str| sharing(&[(name.to_owned(), value.to_owned())].into());
        let of = |mode, flag| Sharing::Ipvlan { mode, flag };
        assert_eq!(read(MODE, "").expect("none"), of(IpvlanMode::L2, IpvlanFlag::Bridge));
        assert_eq!(read(MODE, "l3s").expect("l3s"), of(IpvlanMode::L3s, IpvlanFlag::Bridge));
        assert_eq!(read(FLAG, "vepa").expect("vepa"), of(IpvlanMode::L2, IpvlanFlag::Vepa));
        for name in [MODE, FLAG] {
            assert!(read(name, "l4").expect_err("neither").to_string().contains(name));
        }
    }
}
