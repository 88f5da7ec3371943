//! The messages by which clients judge the sources of a build (`moby.buildkit.v1.sourcepolicy.policysession`).

use crate::operations::{Platform, Source};

#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckPolicyRequest {
    #[prost(message, optional, tag = "1")]
    pub platform: Option<Platform>,
    #[prost(message, optional, tag = "2")]
    pub source: Option<SourceDescription>,
}

/// A source, and its known properties.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceDescription {
    #[prost(message, optional, tag = "1")]
    pub source: Option<Source>,
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageDescription>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageDescription {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(bytes = "vec", tag = "2")]
    pub config: Vec<u8>,
}

/// Either a decision, or the properties that are needed for one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckPolicyResponse {
    #[prost(message, optional, tag = "1")]
    pub decision: Option<Decision>,
    #[prost(message, optional, tag = "2")]
    pub request: Option<SourceQuestion>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Decision {
    #[prost(enumeration = "PolicyAction", tag = "1")]
    pub action: i32,
    #[prost(message, repeated, tag = "2")]
    pub messages: Vec<DenyMessage>,
    /// The source that takes the place of the judged one.
    #[prost(message, optional, tag = "3")]
    pub update: Option<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum PolicyAction {
    Allow = 0,
    Deny = 1,
    Convert = 2,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct DenyMessage {
    #[prost(string, tag = "1")]
    pub message: String,
}

/// The needed properties of a source; those with bytes are only distinguished by name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceQuestion {
    #[prost(message, optional, tag = "1")]
    pub source: Option<Source>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub git: Option<Vec<u8>>,
    #[prost(message, optional, tag = "6")]
    pub image: Option<ImageQuestion>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub http: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageQuestion {
    #[prost(bool, tag = "2")]
    pub attestation_chain: bool,
    #[prost(string, repeated, tag = "3")]
    pub attestations: Vec<String>,
}
