//! How much is relayed at once.

/// At most so many clients of UDP at once; a further one takes the place of that which was silent longest.
pub(super) const MOST_FLOWS: usize = 128;

/// How many clients are taken before others of the shim have their turn.
pub(super) const TURN: usize = 32;
