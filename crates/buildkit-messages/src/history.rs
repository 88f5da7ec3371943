//! The records of builds that are over (`moby.buildkit.v1`).

use std::collections::HashMap;

use crate::control::Exporter;
use crate::google::{Status, Timestamp};

#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildHistoryRequest {
    #[prost(bool, tag = "1")]
    pub active_only: bool,
    #[prost(string, tag = "2")]
    pub reference: String,
    #[prost(bool, tag = "3")]
    pub early_exit: bool,
    #[prost(string, repeated, tag = "4")]
    pub filter: Vec<String>,
    #[prost(int32, tag = "5")]
    pub limit: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum BuildHistoryEventKind {
    Started = 0,
    Complete = 1,
    Deleted = 2,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildHistoryEvent {
    #[prost(enumeration = "BuildHistoryEventKind", tag = "1")]
    pub kind: i32,
    #[prost(message, optional, tag = "2")]
    pub record: Option<BuildHistoryRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildHistoryRecord {
    #[prost(string, tag = "1")]
    pub reference: String,
    #[prost(string, tag = "2")]
    pub frontend: String,
    #[prost(map = "string, string", tag = "3")]
    pub frontend_attributes: HashMap<String, String>,
    #[prost(message, repeated, tag = "4")]
    pub exporters: Vec<Exporter>,
    #[prost(message, optional, tag = "5")]
    pub error: Option<Status>,
    #[prost(message, optional, tag = "6")]
    pub created: Option<Timestamp>,
    #[prost(message, optional, tag = "7")]
    pub completed: Option<Timestamp>,
    #[prost(map = "string, string", tag = "9")]
    pub exporter_response: HashMap<String, String>,
    /// The information about a result of one platform.
    #[prost(message, optional, tag = "10")]
    pub result: Option<BuildResultInfo>,
    /// The information about results by their platforms.
    #[prost(map = "string, message", tag = "11")]
    pub results: HashMap<String, BuildResultInfo>,
    #[prost(int32, tag = "12")]
    pub generation: i32,
    #[prost(bool, tag = "14")]
    pub pinned: bool,
    #[prost(int32, tag = "15")]
    pub cached_steps: i32,
    #[prost(int32, tag = "16")]
    pub total_steps: i32,
    #[prost(int32, tag = "17")]
    pub completed_steps: i32,
    #[prost(int32, tag = "19")]
    pub warnings: i32,
}

/// What there is of a result: its attestations are among the engine's content.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BuildResultInfo {
    #[prost(message, repeated, tag = "2")]
    pub attestations: Vec<Descriptor>,
}

/// A reference to content.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Descriptor {
    #[prost(string, tag = "1")]
    pub media_type: String,
    #[prost(string, tag = "2")]
    pub digest: String,
    #[prost(int64, tag = "3")]
    pub size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateBuildHistoryRequest {
    #[prost(string, tag = "1")]
    pub reference: String,
    #[prost(bool, tag = "2")]
    pub pinned: bool,
    #[prost(bool, tag = "3")]
    pub delete: bool,
    #[prost(bool, tag = "4")]
    pub finalize: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateBuildHistoryResponse {}
