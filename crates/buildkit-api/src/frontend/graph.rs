//! Build graphs that clients make themselves: nothing here runs them, and the answer says what was asked for.

use std::collections::BTreeSet;

use prost::Message;

use crate::grpc::Status;
use buildkit_messages::operations::{Definition, Operation};

/// Operations of one graph that are looked at.
const OPERATION_LIMIT: usize = 10_000;

/// The refusal of a graph, which names its operations.
pub(crate) fn refuse_graph(graph: &Definition) -> Status {
    let mut kinds = BTreeSet::new();
    for operation in graph.operations.iter().take(OPERATION_LIMIT) {
        match Operation::decode(operation.as_slice()) {
            Ok(operation) => drop(kinds.insert(kind(&operation))),
            Err(error) => return Status::invalid(format!("malformed operation of a build graph: {error}")),
        }
    }
    let kinds: Vec<String> = kinds.into_iter().collect();
    Status::unimplemented(format!(
        "build graphs of clients are not supported, only Dockerfiles are: the graph holds {}",
        kinds.join(", ")
    ))
}

fn kind(operation: &Operation) -> String {
    if let Some(source) = &operation.source {
        let scheme = source.identifier.split_once("://").map_or("", |(scheme, _)| scheme);
        return format!("source {scheme:?}");
    }
    let kinds = [
        (operation.exec.is_some(), "exec"),
        (operation.file.is_some(), "file"),
        (operation.build.is_some(), "build"),
        (operation.merge.is_some(), "merge"),
        (operation.diff.is_some(), "diff"),
        (operation.passthrough.is_some(), "passthrough"),
    ];
    let named = kinds.into_iter().find(|(is_it, _)| *is_it).map(|(_, name)| name);
    // The last operation of a graph does nothing: it says which one is the result.
    named.unwrap_or("result").to_owned()
}

#[cfg(test)]
mod tests {
    use crate::grpc::Code;
    use buildkit_messages::operations::Source;

    use super::*;

    #[test]
    fn operations_are_refused_by_name() {
        let source = Source { identifier: "git://x".to_owned(), ..Source::default() };
        let operations = [
            Operation { source: Some(source), ..Operation::default() },
            Operation { merge: Some(Vec::new()), ..Operation::default() },
        ];
        let graph = Definition { operations: operations.iter().map(Message::encode_to_vec).collect() };
        let refusal = refuse_graph(&graph);
        assert_eq!(refusal.code, Code::Unimplemented);
        assert!(refusal.message.ends_with("the graph holds merge, source \"git\""), "{refusal}");
        let graph = Definition { operations: vec![vec![0xff; 9]] };
        assert_eq!(refuse_graph(&graph).code, Code::InvalidArgument);
    }
}
