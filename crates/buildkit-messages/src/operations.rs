//! Build graphs as clients send them (`pb`).

use std::collections::HashMap;

use crate::exec_operation::Exec;
use crate::file_operation::Files;

/// A graph: its operations, each an encoded [`Operation`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Definition {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub operations: Vec<Vec<u8>>,
    /// The metadata of operations, by their digest.
    #[prost(map = "string, message", tag = "2")]
    pub metadata: HashMap<String, OperationMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OperationMetadata {
    #[prost(bool, tag = "1")]
    pub ignores_cache: bool,
}

/// One operation, which is one of these; those with bytes are only distinguished by name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Input>,
    #[prost(message, optional, tag = "2")]
    pub exec: Option<Exec>,
    #[prost(message, optional, tag = "3")]
    pub source: Option<Source>,
    #[prost(message, optional, tag = "4")]
    pub file: Option<Files>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub build: Option<Vec<u8>>,
    #[prost(message, optional, tag = "6")]
    pub merge: Option<Merge>,
    #[prost(message, optional, tag = "7")]
    pub diff: Option<Difference>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub passthrough: Option<Vec<u8>>,
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

/// Several trees, each laid over those before it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Merge {
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<MergeInput>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct MergeInput {
    #[prost(int64, tag = "1")]
    pub input: i64,
}

/// What one tree has beyond another one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Difference {
    #[prost(message, optional, tag = "1")]
    pub lower: Option<MergeInput>,
    #[prost(message, optional, tag = "2")]
    pub upper: Option<MergeInput>,
}

/// Which output of which operation another one takes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Input {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub index: i64,
}

/// Where files come from: `docker-image://`, `local://`, `git://`, `https://`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Source {
    #[prost(string, tag = "1")]
    pub identifier: String,
    #[prost(map = "string, string", tag = "2")]
    pub attributes: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Platform {
    #[prost(string, tag = "1")]
    pub architecture: String,
    #[prost(string, tag = "2")]
    pub os: String,
    #[prost(string, tag = "3")]
    pub variant: String,
}

/// A file that ranges of lines are in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceInfo {
    #[prost(string, tag = "1")]
    pub file_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    #[prost(string, tag = "4")]
    pub language: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Range {
    #[prost(message, optional, tag = "1")]
    pub start: Option<Position>,
    #[prost(message, optional, tag = "2")]
    pub end: Option<Position>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Position {
    #[prost(int32, tag = "1")]
    pub line: i32,
    #[prost(int32, tag = "2")]
    pub character: i32,
}
