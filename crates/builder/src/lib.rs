//! Dockerfile to image: parsing, planning, cache and steps.
//!
//! [`Builder::build`] is the entrance; it is synchronous and takes a thread for as long as the
//! build lasts. The engine lends it a [`StepRunner`] for RUN and an [`ImagePuller`] for FROM, and
//! receives all events through an [`EventSink`].

mod classic_wording;
mod context;
mod dockerfile;
mod error;
mod event;
mod execution;
#[cfg(test)]
mod fake_puller;
#[cfg(test)]
mod fixture;
mod frontend;
mod graph_wording;
mod identity;
mod ignore;
mod image_files;
#[cfg(test)]
mod listing;
mod nearest;
mod order;
mod pattern;
mod request;
mod runner;
mod scratch;
mod source_policy;
mod transfer;
mod tree;
mod wording;

pub use context::{ContextError, FetchError, GitError, download, ignore_file_names};
pub use dockerfile::{
    CheckInputs, CheckWarning, Checked, Dockerfile, DockerfileError, Environment, GivenMetadata, Rule,
    TreeChange, check_dockerfile,
};
pub use error::BuildError;
pub use event::{BuildEvent, EventSink, Material, MaterialContent, Provision, Vertex, VertexChange};
pub use execution::{
    Builder, CacheKind, CachePrune, CacheRecord, CacheRoom, Outline, OutlineItem, Session, Target,
    apply_changes, environment_of, outline, targets,
};
pub use frontend::is_builtin_frontend;
pub use ignore::IgnorePatterns;
pub use image_files::ImageFiles;
pub use order::Order;
pub use pattern::PatternError;
pub use request::{
    BuildRequest, CheckRequest, ContextProvider, ContextSource, DockerfileText, Intermediate, NamedContext,
    Provisions,
};
pub use runner::{
    ImagePuller, MadeContainer, OutputStream, RunStep, StartFailure, StepError, StepKind, StepRunner,
};
pub use source_policy::{JudgedImage, JudgedSource, SourcePolicy, Verdict};
pub use transfer::{Given, Source as ContextTree, TransferError};
pub use tree::{Attribute, Inode, Metadata, Modified, Node, NodeKind, TreeError};
pub use wording::Wording;
