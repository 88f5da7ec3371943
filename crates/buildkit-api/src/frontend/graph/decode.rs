//! Decodes bytes to operations whose inputs are resolved, and precede them.

use std::collections::HashMap;

use engine::images::digest_of;
use prost::Message;

use crate::grpc::Status;
use buildkit_messages::operations::{Definition, Operation};

/// Operations of one graph: as many as a Dockerfile has instructions at most.
const OPERATION_LIMIT: usize = 500;

/// A graph.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// The number of the operation whose tree is the result.
    pub(super) result: usize,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) operation: Operation,
    /// The numbers of those whose trees it takes.
    pub(super) inputs: Vec<usize>,
    pub(super) ignores_cache: bool,
}

impl Node {
    /// The number of the operation whose tree is the input of this index; `None` if it has no such input.
    pub(super) fn input(&self, index: i64) -> Option<usize> {
        let index = usize::try_from(index).ok()?;
        self.inputs.get(index).copied()
    }
}

/// Decodes a graph; the last of its operations only refers to the result.
///
/// # Errors
/// `InvalidArgument` for a malformed graph, `Unimplemented` for one with several results of an operation.
pub(super) fn decode(definition: &Definition) -> Result<Graph, Status> {
    if definition.operations.len() > OPERATION_LIMIT {
        return Err(Status::invalid(format!("a build graph has at most {OPERATION_LIMIT} operations")));
    }
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut nodes = Vec::new();
    for (number, bytes) in definition.operations.iter().enumerate() {
        let operation = Operation::decode(bytes.as_slice())
            .map_err(|error| Status::invalid(format!("malformed operation of a build graph: {error}")))?;
        let mut inputs = Vec::new();
        for input in &operation.inputs {
            let unknown =
                || Status::invalid(format!("no operation before {number} has the digest {:?}", input.digest));
            inputs.push(*numbers.get(&input.digest).ok_or_else(unknown)?);
            if input.index != 0 {
                return Err(Status::unimplemented(
                    "an operation of a build graph has one result here: input of another one",
                ));
            }
        }
        let digest = digest_of(bytes).to_string();
        let ignores_cache = definition.metadata.get(&digest).is_some_and(|metadata| metadata.ignores_cache);
        numbers.insert(digest, number);
        nodes.push(Node { operation, inputs, ignores_cache });
    }
    let last = nodes.pop().ok_or_else(|| Status::invalid("the build graph is empty"))?;
    match last.inputs.as_slice() {
        [result] => Ok(Graph { nodes, result: *result }),
        _ => Err(Status::invalid("the last operation of a build graph names one result")),
    }
}
