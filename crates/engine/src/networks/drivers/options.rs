//! Options that several drivers share.

use std::collections::BTreeMap;

use model::Pool;
use network::InterfaceAddress;

use crate::error::Error;
use crate::networks::families::{Family, interface_address};

pub(super) const MTU: &str = "com.docker.network.driver.mtu";

/// The address through which everything else is reached: the host's own on a bridge.
pub(super) fn gateway_address<A: Family>(pool: &Pool) -> Option<InterfaceAddress<A>> {
    let whole = interface_address::<A>(pool.subnet?)?;
    Some(InterfaceAddress { address: A::of(pool.gateway?)?, ..whole })
}

/// The requested MTU.
pub(super) fn mtu(options: &BTreeMap<String, String>) -> Result<Option<u32>, Error> {
    let mtu = match text(options, MTU) {
        None | Some("0") => None,
        Some(value) => {
            Some(value.parse::<u32>().map_err(|_| bad(MTU, value, "it is no whole number of bytes"))?)
        }
    };
    match mtu.filter(|mtu| !(68..=65535).contains(mtu)) {
        Some(mtu) => Err(Error::refused(format!("{MTU}: invalid MTU {mtu}: 68 to 65535 are possible"))),
        None => Ok(mtu),
    }
}

/// An option that is given and not empty.
pub(super) fn text<'o>(options: &'o BTreeMap<String, String>, name: &str) -> Option<&'o str> {
    options.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

pub(super) fn bad(name: &str, value: &str, why: &str) -> Error {
    Error::refused(format!("failed to parse {name} value: {value:?} ({why})"))
}
