//! What a peer can do, by names (`moby.buildkit.v1.apicaps`).

/// One capability.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Capability {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(bool, tag = "2")]
    pub enabled: bool,
}
