//! The messages of the gateway, by which clients drive a build (`moby.buildkit.v1.frontend`).

use std::collections::HashMap;

use crate::capabilities::Capability;
use crate::control::CacheEntry;
use crate::file_sync::Stat;
use crate::google::Status;
use crate::operations::Definition;
use crate::worker::WorkerRecord;

#[derive(Clone, PartialEq, prost::Message)]
pub struct PingRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PongResponse {
    #[prost(message, repeated, tag = "1")]
    pub frontend_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "2")]
    pub operation_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "3")]
    pub workers: Vec<WorkerRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FrontendSolveRequest {
    #[prost(message, optional, tag = "1")]
    pub definition: Option<Definition>,
    #[prost(string, tag = "2")]
    pub frontend: String,
    #[prost(map = "string, string", tag = "3")]
    pub options: HashMap<String, String>,
    #[prost(message, repeated, tag = "12")]
    pub cache_imports: Vec<CacheEntry>,
    #[prost(map = "string, message", tag = "13")]
    pub inputs: HashMap<String, Definition>,
    #[prost(bool, tag = "14")]
    pub evaluate: bool,
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub source_policies: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FrontendSolveResponse {
    #[prost(message, optional, tag = "3")]
    pub result: Option<BuildResult>,
}

/// What a frontend made: a reference, or one by platform.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildResult {
    #[prost(string, tag = "1")]
    pub old_reference: String,
    #[prost(message, optional, tag = "3")]
    pub reference: Option<Reference>,
    #[prost(message, optional, tag = "4")]
    pub references: Option<References>,
    #[prost(map = "string, bytes", tag = "10")]
    pub metadata: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Reference {
    #[prost(string, tag = "1")]
    pub id: String,
    /// The result as a graph, for other builds.
    #[prost(message, optional, tag = "2")]
    pub definition: Option<Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct References {
    #[prost(map = "string, message", tag = "1")]
    pub by_platform: HashMap<String, Reference>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ReturnRequest {
    #[prost(message, optional, tag = "1")]
    pub result: Option<BuildResult>,
    #[prost(message, optional, tag = "2")]
    pub error: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ReturnResponse {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct InputsRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct InputsResponse {
    #[prost(map = "string, message", tag = "1")]
    pub definitions: HashMap<String, Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluateRequest {
    #[prost(string, tag = "1")]
    pub reference: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluateResponse {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StatFileRequest {
    #[prost(string, tag = "1")]
    pub reference: String,
    #[prost(string, tag = "2")]
    pub path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct StatFileResponse {
    #[prost(message, optional, tag = "1")]
    pub stat: Option<Stat>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ReadFileRequest {
    #[prost(string, tag = "1")]
    pub reference: String,
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(message, optional, tag = "3")]
    pub range: Option<FileRange>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct FileRange {
    #[prost(int64, tag = "1")]
    pub offset: i64,
    #[prost(int64, tag = "2")]
    pub length: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ReadFileResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}
