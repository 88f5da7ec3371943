//! Random names: of containers that exist only in the stream, and of scratch directories.

use std::io;

use model::ContainerId;

/// Makes the id of a container that no engine made: steps without a process need none.
///
/// # Errors
/// What getrandom(2) fails with.
pub(crate) fn random_container() -> io::Result<ContainerId> {
    let mut bytes = [0_u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(ContainerId::from_random(bytes))
}

/// Sixteen random hexadecimal digits.
///
/// # Errors
/// What getrandom(2) fails with.
pub(crate) fn random_digits() -> io::Result<String> {
    Ok(random_container()?.as_str()[..16].to_owned())
}
