//! The messages of the gateway, by which clients drive a build (`moby.buildkit.v1.frontend`).

use std::collections::HashMap;

use super::capabilities::Capability;
use super::control::CacheEntry;
use super::google::Status;
use super::operations::Definition;
use super::worker::WorkerRecord;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PingRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PongResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) frontend_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) operation_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) workers: Vec<WorkerRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FrontendSolveRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) definition: Option<Definition>,
    #[prost(string, tag = "2")]
    pub(crate) frontend: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) options: HashMap<String, String>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) cache_imports: Vec<CacheEntry>,
    #[prost(map = "string, message", tag = "13")]
    pub(crate) inputs: HashMap<String, Definition>,
    #[prost(bool, tag = "14")]
    pub(crate) evaluate: bool,
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub(crate) source_policies: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FrontendSolveResponse {
    #[prost(message, optional, tag = "3")]
    pub(crate) result: Option<BuildResult>,
}

/// What a frontend made: a reference, or one by platform.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BuildResult {
    #[prost(string, tag = "1")]
    pub(crate) old_reference: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) reference: Option<Reference>,
    #[prost(message, optional, tag = "4")]
    pub(crate) references: Option<References>,
    #[prost(map = "string, bytes", tag = "10")]
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Reference {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct References {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) by_platform: HashMap<String, Reference>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReturnRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<BuildResult>,
    #[prost(message, optional, tag = "2")]
    pub(crate) error: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReturnResponse {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InputsRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InputsResponse {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) definitions: HashMap<String, Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EvaluateRequest {
    #[prost(string, tag = "1")]
    pub(crate) reference: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EvaluateResponse {}
