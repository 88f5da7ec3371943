//! Random bytes, numbers and names.

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    sys::random::bytes()
}

/// A random number.
pub(crate) fn number() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// A name that nothing else has: 64 hexadecimal digits.
pub(crate) fn name() -> String {
    model::ContainerId::from_random(bytes()).to_string()
}
