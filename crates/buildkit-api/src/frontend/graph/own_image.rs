//! Results of builds as graphs: clients take the result of one build as a context of another.

use std::collections::HashMap;

use engine::images::digest_of;
use model::Digest;
use prost::Message;

use super::decode::Graph;
use crate::grpc::Status;
use buildkit_messages::operations::{Definition, Input, Operation, OperationMetadata, Source};

/// The kind of source that an image of the store is, by its id.
pub(super) const KIND: &str = "berth-image";

/// The identifier of a source that is an image of the store.
pub(super) fn identifier(image: &Digest) -> String {
    format!("{KIND}://{image}")
}

/// Parses the id of an image.
///
/// # Errors
/// `InvalidArgument` for a malformed one.
pub(super) fn parse(id: &str) -> Result<Digest, Status> {
    Digest::parse(id).map_err(|_| Status::invalid(format!("{id:?} is no id of an image")))
}

/// The graph that consists of an image of the store. Clients take one without metadata of its operations for empty.
pub(crate) fn definition(image: &Digest) -> Definition {
    let source = Source { identifier: identifier(image), ..Source::default() };
    let operation = Operation { source: Some(source), ..Operation::default() }.encode_to_vec();
    let digest = digest_of(&operation).to_string();
    let metadata = HashMap::from([(digest.clone(), OperationMetadata { ignores_cache: false })]);
    let result = Operation { inputs: vec![Input { digest, index: 0 }], ..Operation::default() };
    Definition { operations: vec![operation, result.encode_to_vec()], metadata }
}

/// The id of the image that a graph has nothing but.
pub(super) fn only_image(graph: &Graph) -> Option<&str> {
    let [node] = graph.nodes.as_slice() else { return None };
    node.operation.source.as_ref()?.identifier.strip_prefix(KIND)?.strip_prefix("://")
}
