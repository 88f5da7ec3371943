//! Build graphs that no honest client makes: each gets a clear error, and the engine serves on.

use berth_tests::{Engine, Options};
use buildkit_messages::exec_operation::Mount;
use buildkit_messages::file_operation::{CopyFiles, FileAction};
use buildkit_messages::operations::{Definition, Difference, Input, Merge, MergeInput, Operation, Source};
use prost::Message;

use crate::client::{Outcome, run, still_serves};
use crate::graphs::{build as build_with, exec, files, graph, graph_of, made, source};
use crate::offers::Offers;

const IMAGE: &str = "docker-image://busybox";
/// What the daemon and all that it runs may use of the memory.
const LIMIT: u64 = 512 << 20;

fn build(engine: &Engine, definition: Definition) -> Outcome {
    build_with(engine, definition, Offers::of("", &[]))
}

/// A graph whose last operation has these inputs.
fn ending(inputs: Vec<Input>) -> Definition {
    let mut definition = graph(vec![source(IMAGE)]);
    let end = Operation { inputs, ..Operation::default() }.encode_to_vec();
    definition.operations.pop();
    definition.operations.push(end);
    definition
}

#[test]
fn graphs_that_do_not_hold_together_are_refused() {
    let engine = Engine::start();
    let unknown = |index| Input { digest: format!("sha256:{}", "0".repeat(64)), index };
    let known = || {
        let honest = graph(vec![source(IMAGE)]);
        Operation::decode(honest.operations[1].as_slice()).expect("an operation").inputs.remove(0)
    };
    let merge = |inputs: &[i64]| {
        let inputs = inputs.iter().map(|input| MergeInput { input: *input }).collect();
        Operation { merge: Some(Merge { inputs }), ..Operation::default() }
    };
    let diff = |lower: i64, upper: i64| Operation {
        diff: Some(Difference {
            lower: Some(MergeInput { input: lower }),
            upper: Some(MergeInput { input: upper }),
        }),
        ..Operation::default()
    };
    let copy = |second_input: i64| {
        let copy = CopyFiles {
            source: "/".to_owned(),
            destination: "/".to_owned(),
            mode: -1,
            time: -1,
            ..CopyFiles::default()
        };
        files(vec![FileAction { second_input, copy: Some(copy), ..FileAction::default() }])
    };
    let mounting = |input: i64| {
        let mut operation = exec("true", &[]);
        let exec = operation.exec.as_mut().expect("an exec");
        exec.mounts.push(Mount { input, destination: "/m".to_owned(), output: -1, ..Mount::default() });
        operation
    };
    let acting = |input: i64| files(vec![FileAction { input, ..made("/a", b"") }]);
    let after = |operation| graph_of(vec![(source(IMAGE), vec![]), (operation, vec![0])]);
    for (definition, code, text) in [
        (ending(vec![unknown(0)]), 2, "no operation before 1 has the digest"),
        (ending(vec![]), 2, "names one result"),
        (ending(vec![known(), known()]), 2, "names one result"),
        (ending(vec![Input { index: i64::MAX, ..known() }]), 2, "one result here"),
        (ending(vec![Input { index: -1, ..known() }]), 2, "one result here"),
        (Definition { operations: vec![vec![0xff; 9]], ..Definition::default() }, 2, "malformed operation"),
        (after(merge(&[7])), 2, "a merge has no input 7"),
        (after(merge(&[-1])), 2, "a merge has no input -1"),
        (after(merge(&[])), 2, "has no inputs"),
        (after(diff(0, i64::MAX)), 2, "a diff has no input"),
        (after(diff(0, -1)), 2, "a diff of a build graph from a tree to nothing"),
        (after(copy(9)), 2, "a file operation has no input 9"),
        (after(copy(i64::MIN)), 2, "a file operation has no input"),
        (after(mounting(9)), 2, "an exec has no input 9"),
        (after(acting(9)), 2, "a file operation has no input 9"),
        (after(acting(i64::MIN)), 2, "a file operation has no input"),
        (after(files(vec![])), 2, "does nothing"),
        (after(exec("a\0b", &[])), 2, "NUL"),
        (after(files(vec![made("/a\0b", b"")])), 2, "NUL"),
        (after(Operation::default()), 2, "of a kind that is not known"),
        (graph(vec![source("docker-image://a b")]), 2, ""),
        (graph(vec![source("nosuch://x")]), 2, "a source \"nosuch\""),
        (graph(vec![source("")]), 2, "a source \"\""),
        (graph(vec![source("oci-layout://x")]), 2, "no image of a layout"),
        (graph(vec![source("berth-image://sha256:12")]), 2, "no id of an image"),
    ] {
        let built = build(&engine, definition);
        let (actual, message) = built.failure();
        assert!(*actual == code && message.contains(text), "{text:?} {code}: {actual} {message}");
    }
    run(still_serves(&engine.socket()));
    engine.forget_builds();
}

#[test]
fn large_graphs_take_little_memory() {
    let engine = Engine::start_with(Options { memory: Some(LIMIT), ..Options::default() });
    let many = Definition { operations: vec![vec![]; 2_000_000], ..Definition::default() };
    let (code, message) = build(&engine, many).result.expect_err("too many");
    assert_eq!((code, message.as_str()), (2, "a build graph has at most 500 operations"));
    let attributes = (0..100_000).map(|number| (format!("a{number}"), "x".repeat(100))).collect();
    let wordy = Source { identifier: IMAGE.to_owned(), attributes };
    let wordy = graph(vec![Operation { source: Some(wordy), ..Operation::default() }]);
    let (code, message) = build(&engine, wordy).result.expect_err("unknown attributes");
    assert!(code == 2 && message.contains("the attribute a0="), "{code} {message}");
    let mut chain = vec![(source(IMAGE), vec![])];
    for number in 0..80 {
        chain.push((files(vec![made(&format!("/f{number}"), b"")]), vec![number]));
    }
    let built = build(&engine, graph_of(chain));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("graph", "sh -c 'ls -d /f* | wc -l'"), "80\n");
    engine.forget_builds();
}
