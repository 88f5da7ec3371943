//! The Dockerfile's frontend: options and the client's files in, an image of the engine's builder out.

mod call;
mod context;
mod credentials;
mod documents;
mod error_details;
mod events;
mod failure;
mod graph;
mod ignore;
mod layout;
mod limits;
mod options;
mod outcome;
mod pieces;
mod policy;
mod provisions;
mod remote;
mod request;
mod request_kind;
mod run;
mod subrequest;
mod upload;

pub(crate) use call::{FrontendCall, run};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use graph::as_dockerfile as graph_as_dockerfile;
#[cfg(test)]
pub(crate) use graph::example as graph_example;
pub(crate) use graph::{definition as graph_of_image, run_graph};
pub(crate) use outcome::Made;
pub(crate) use request::run_request;
