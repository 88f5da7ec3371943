//! Build graphs that clients make themselves.

use berth_tests::Engine;
use berth_tests::registry::digest;
use buildkit_messages::exec_operation::{Exec, Mount, Process};
use buildkit_messages::file_operation::{CopyFiles, FileAction, Files, MakeDirectory, MakeFile};
use buildkit_messages::operations::{Definition, Input, Merge, MergeInput, Operation, Source};
use prost::Message;

use crate::client::{Order, Outcome, run};
use crate::offers::{Offer, Offers};

/// A graph of operations whose inputs are the numbers of others; the last one is the result.
pub(crate) fn graph(operations: Vec<Operation>) -> Definition {
    let numbered = operations.into_iter().map(|operation| (operation, Vec::new()));
    graph_of(numbered.collect())
}

pub(crate) fn graph_of(operations: Vec<(Operation, Vec<usize>)>) -> Definition {
    let mut definition = Definition::default();
    let mut digests: Vec<String> = Vec::new();
    let end = (Operation::default(), vec![operations.len() - 1]);
    for (operation, inputs) in operations.into_iter().chain([end]) {
        let inputs = inputs.into_iter().map(|number| Input { digest: digests[number].clone(), index: 0 });
        let bytes = Operation { inputs: inputs.collect(), ..operation }.encode_to_vec();
        digests.push(digest(&bytes));
        definition.operations.push(bytes);
    }
    definition
}

pub(crate) fn source(identifier: &str) -> Operation {
    let source = Source { identifier: identifier.to_owned(), ..Source::default() };
    Operation { source: Some(source), ..Operation::default() }
}

pub(crate) fn exec(script: &str, environment: &[&str]) -> Operation {
    let process = Process {
        arguments: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        environment: environment.iter().map(|&variable| variable.to_owned()).collect(),
        directory: "/".to_owned(),
        ..Process::default()
    };
    let root = Mount { destination: "/".to_owned(), ..Mount::default() };
    let exec = Exec { process: Some(process), mounts: vec![root], ..Exec::default() };
    Operation { exec: Some(exec), ..Operation::default() }
}

pub(crate) fn files(actions: Vec<FileAction>) -> Operation {
    Operation { file: Some(Files { actions }), ..Operation::default() }
}

pub(crate) fn made(path: &str, content: &[u8]) -> FileAction {
    let make =
        MakeFile { path: path.to_owned(), mode: 0o600, content: content.to_vec(), owner: None, time: -1 };
    FileAction { input: 0, second_input: -1, output: 0, make_file: Some(make), ..FileAction::default() }
}

pub(crate) fn build(engine: &Engine, definition: Definition, offers: Offers) -> Outcome {
    let mut order = Order::of(offers, "graph");
    order.request.frontend = String::new();
    order.request.definition = Some(definition);
    run(order.run(engine.socket()))
}

#[test]
fn a_graph_is_a_context_of_a_dockerfile() {
    let engine = Engine::start();
    let definition = graph_of(vec![
        (source("docker-image://busybox"), Vec::new()),
        (files(vec![made("/f", b"x\n")]), vec![0]),
    ]);
    let order = || {
        let offers = Offers::of("FROM busybox\nCOPY --from=made /f /f\n", &[]);
        Order::of(offers, "taken").option("context:made", "input:made-1")
    };
    let unknown = run(order().run(engine.socket())).result.expect_err("no input").1;
    assert_eq!(unknown, "the context made has no input \"made-1\"");
    let mut order = order();
    order.request.frontend_inputs.insert("made-1".to_owned(), definition);
    let _ = run(order.run(engine.socket())).result.expect("a build");
    assert_eq!(engine.output_of("taken", "cat /f"), "x\n");
    engine.forget_builds();
}

#[test]
fn a_graph_is_built() {
    let engine = Engine::start();
    let mut offers = Offers::of("", &[]);
    offers.directories.insert("src".to_owned(), Offer::of(&[("d/a", b"local")]));
    let make_directory = MakeDirectory {
        path: "/made/deep".to_owned(),
        mode: 0o755,
        makes_parents: true,
        owner: None,
        time: -1,
    };
    let directory = FileAction {
        input: 0,
        second_input: -1,
        output: -1,
        make_directory: Some(make_directory),
        ..FileAction::default()
    };
    let copy = CopyFiles {
        source: "/d".to_owned(),
        destination: "/copied/".to_owned(),
        mode: -1,
        time: -1,
        ..CopyFiles::default()
    };
    let copied =
        FileAction { input: 2, second_input: 1, output: -1, copy: Some(copy), ..FileAction::default() };
    let file = FileAction { input: 3, ..made("/made/deep/$file", b"no line end") };
    let definition = graph_of(vec![
        (source("docker-image://docker.io/library/busybox:latest"), vec![]),
        (source("local://src"), vec![]),
        (files(vec![directory, copied, file]), vec![0, 1]),
        (exec("env | sort > /env; echo shown; cat /copied/d/a", &["A=b $A 'c'"]), vec![2]),
    ]);
    let built = build(&engine, definition.clone(), offers);
    assert_eq!(built.output(), "shown\nlocal", "{:?}", built.result);
    let files = engine.output_of("graph", "/bin/sh -c 'cat /made/deep/*; stat -c %a /made/deep/*; grep -v -e ^PWD -e ^SHLVL -e ^HO -e ^PATH /env'");
    assert_eq!(files, "no line end600\nA=b $A 'c'\n");
    let image = engine.at("1.55").get("/images/graph/json").expect(200).json();
    assert_eq!(image["Config"]["Cmd"].as_array().map_or(0, Vec::len), 0, "{image}");
    let mut offers = Offers::of("", &[]);
    offers.directories.insert("src".to_owned(), Offer::of(&[("d/a", b"local")]));
    let again = build(&engine, definition, offers);
    assert_eq!(again.output(), "", "all is cached");
    engine.forget_builds();
}

#[test]
fn trees_are_merged() {
    let engine = Engine::start();
    let merge =
        Merge { inputs: vec![MergeInput { input: 0 }, MergeInput { input: 1 }, MergeInput { input: 2 }] };
    let nothing = |action: FileAction| files(vec![FileAction { input: -1, ..action }]);
    let definition = graph_of(vec![
        (source("docker-image://busybox"), vec![]),
        (nothing(made("/one", b"1")), vec![]),
        (nothing(made("/two", b"2")), vec![]),
        (Operation { merge: Some(merge), ..Operation::default() }, vec![0, 1, 2]),
    ]);
    let built = build(&engine, definition, Offers::of("", &[]));
    built.result.as_ref().expect("a build");
    assert_eq!(engine.output_of("graph", "cat /one /two"), "12");
    engine.forget_builds();
    // The notes of linked layers go with the prune after that of the layers.
    let _ = engine.at("1.55").post("/build/prune?all=1").expect(200);
}

#[test]
fn a_command_that_fails_is_the_builds_failure() {
    let engine = Engine::start();
    let definition =
        graph_of(vec![(source("docker-image://busybox"), vec![]), (exec("exit 3", &[]), vec![0])]);
    let built = build(&engine, definition, Offers::of("", &[]));
    assert!(
        built.failure().1.ends_with("did not complete successfully: exit code: 3"),
        "{}",
        built.failure().1
    );
    engine.forget_builds();
}
