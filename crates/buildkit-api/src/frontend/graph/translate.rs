//! A graph as a Dockerfile: a stage for each operation that the result needs.

use std::collections::BTreeSet;

use engine::builder::TreeChange;

use super::decode::{Graph, Node};
use super::text::{Text, stage};
use super::{exec, file, source};
use crate::grpc::Status;
use buildkit_messages::operations::{Difference, MergeInput};

/// Writes a graph as a Dockerfile whose last stage is the result.
///
/// # Errors
/// `Unimplemented` naming what has no equivalent, `InvalidArgument` for a malformed graph.
pub(super) fn translate(graph: &Graph) -> Result<Text, Status> {
    // What a check of a Dockerfile finds is nothing that the client wrote.
    let mut text = Text { dockerfile: "# check=skip=all\n".to_owned(), ..Text::default() };
    for number in needed(graph) {
        let node = &graph.nodes[number];
        text.current = number;
        operation(&mut text, graph, node)?;
        if node.ignores_cache {
            text.uncached.push(stage(number));
        }
    }
    text.line(&format!("FROM {} AS result\nCMD []", stage(graph.result)));
    Ok(text)
}

/// The operations that the result needs, in their order.
pub(super) fn needed(graph: &Graph) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut waiting = vec![graph.result];
    while let Some(number) = waiting.pop() {
        if needed.insert(number) {
            waiting.extend(&graph.nodes[number].inputs);
        }
    }
    needed
}

fn operation(text: &mut Text, graph: &Graph, node: &Node) -> Result<(), Status> {
    let operation = &node.operation;
    if let Some(source) = &operation.source {
        return source::write(text, operation, source);
    }
    if let Some(exec) = &operation.exec {
        return exec::write(text, node, exec);
    }
    if let Some(files) = &operation.file {
        return file::write(text, graph, node, files);
    }
    if let Some(merge) = &operation.merge {
        let inputs = merge.inputs.iter().map(|input| {
            let missing = || Status::invalid(format!("a merge has no input {}", input.input));
            node.input(input.input).ok_or_else(missing)
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let (first, others) =
            inputs.split_first().ok_or_else(|| Status::invalid("a merge of a build graph has no inputs"))?;
        text.from(Some(*first));
        for other in others {
            text.change(TreeChange::Layers { stage: stage(*other), without: None });
        }
        return Ok(());
    }
    if let Some(difference) = &operation.diff {
        return write_difference(text, node, difference);
    }
    let kinds = [(operation.build.is_some(), "build"), (operation.passthrough.is_some(), "passthrough")];
    let named =
        kinds.into_iter().find(|(is_it, _)| *is_it).map_or("of a kind that is not known", |(_, name)| name);
    Err(Status::unimplemented(format!("the operation {named} of a build graph is not supported")))
}

/// Writes the difference of two trees: the layers that one has beyond the other.
fn write_difference(text: &mut Text, node: &Node, difference: &Difference) -> Result<(), Status> {
    let tree = |input: &Option<MergeInput>| match input {
        Some(MergeInput { input }) if *input >= 0 => {
            let missing = || Status::invalid(format!("a diff has no input {input}"));
            node.input(*input).map(Some).ok_or_else(missing)
        }
        Some(_) | None => Ok(None),
    };
    let (lower, upper) = (tree(&difference.lower)?, tree(&difference.upper)?);
    text.from(None);
    if let Some(upper) = upper {
        text.change(TreeChange::Layers { stage: stage(upper), without: lower.map(stage) });
    } else if lower.is_some() {
        return Err(Status::unimplemented("a diff of a build graph from a tree to nothing is not supported"));
    }
    // A tree without any layer is an image too.
    text.line("CMD []");
    Ok(())
}

/// The Dockerfile to which the bytes of a graph translate; `None` where they cannot be built here.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn as_dockerfile(bytes: &[u8]) -> Option<String> {
    use prost::Message as _;
    let definition = buildkit_messages::operations::Definition::decode(bytes).ok()?;
    let graph = super::decode::decode(&definition).ok()?;
    translate(&graph).ok().map(|text| text.dockerfile)
}
