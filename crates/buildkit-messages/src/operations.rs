//! Build graphs as clients send them (`pb`), as far as it takes to say which operations they hold.

use std::collections::HashMap;

/// A graph: its operations, each an encoded [`Operation`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Definition {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub operations: Vec<Vec<u8>>,
}

/// One operation. What it does is one of these, and only its kind is looked at except for a source.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Input>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub exec: Option<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    pub source: Option<Source>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub file: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub build: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub merge: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub diff: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub passthrough: Option<Vec<u8>>,
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
