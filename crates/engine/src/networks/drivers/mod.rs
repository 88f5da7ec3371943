//! What drivers make of networks. Each is a file.

pub(crate) mod bridge;
