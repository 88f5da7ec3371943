//! An image that was built here, and what is said of it.

use model::Digest;
use serde_json::Value;

/// An image that was built here, with what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltImage {
    /// Its id.
    pub image: Digest,
    /// What is said of its making.
    pub predicates: Vec<Predicate>,
}

/// What is said of the making of an image (in-toto attestation framework, "Predicate").
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// Its type, an address.
    pub kind: String,
    /// What it says.
    pub content: Value,
}
