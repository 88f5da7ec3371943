//! Graphs as Dockerfiles: what is written, and what is refused.

use engine::images::digest_of;
use prost::Message;

use super::decode::decode;
use super::translate::translate;
use crate::grpc::{Code, Status};
use buildkit_messages::exec_operation::{Exec, Mount, Process};
use buildkit_messages::file_operation::{
    CopyFiles, FileAction, Files, MakeDirectory, MakeFile, MakeLink, Remove,
};
use buildkit_messages::operations::{Definition, Difference, Input, Merge, MergeInput, Operation, Source};

/// A graph whose operations each take those before them.
fn graph(operations: Vec<Operation>) -> Definition {
    let mut definition = Definition::default();
    let mut inputs: Vec<Input> = Vec::new();
    for operation in operations.into_iter().chain([Operation::default()]) {
        let is_last = operation == Operation::default();
        let taken = if is_last { inputs.last().cloned().into_iter().collect() } else { inputs.clone() };
        let bytes = Operation { inputs: taken, ..operation }.encode_to_vec();
        let digest = digest_of(&bytes).to_string();
        inputs.push(Input { digest, index: 0 });
        definition.operations.push(bytes);
    }
    definition
}

fn text(operations: Vec<Operation>) -> Result<String, Status> {
    translate(&decode(&graph(operations))?).map(|text| text.dockerfile)
}

fn source(identifier: &str) -> Operation {
    let source = Source { identifier: identifier.to_owned(), ..Source::default() };
    Operation { source: Some(source), ..Operation::default() }
}

fn exec(arguments: &[&str]) -> Exec {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    let process = Process {
        arguments,
        environment: vec!["A=b $c".to_owned()],
        directory: "/".to_owned(),
        ..Process::default()
    };
    let root = Mount { destination: "/".to_owned(), ..Mount::default() };
    Exec { process: Some(process), mounts: vec![root], ..Exec::default() }
}

fn run(exec: Exec) -> Operation {
    Operation { exec: Some(exec), ..Operation::default() }
}

#[test]
fn operations_become_stages() {
    let written = text(vec![
        source("docker-image://docker.io/library/busybox:latest"),
        run(exec(&["sh", "-c", "a\nb"])),
    ]);
    assert_eq!(
        written.expect("a Dockerfile"),
        "# check=skip=all\nFROM docker.io/library/busybox:latest AS operation-0\nFROM operation-0 AS operation-1\n\
         ENV A=\"b \\$c\"\nRUN [\"sh\",\"-c\",\"a\\nb\"]\nFROM operation-1 AS result\nCMD []\n"
    );
}

#[test]
fn what_has_no_equal_is_refused_by_name() {
    let build = Operation { build: Some(Vec::new()), ..Operation::default() };
    let passed = Operation { passthrough: Some(Vec::new()), ..Operation::default() };
    let nothing = FileAction { input: -1, second_input: -1, ..FileAction::default() };
    let unknown = Operation { file: Some(Files { actions: vec![nothing] }), ..Operation::default() };
    let insecure = run(Exec { security: 1, ..exec(&["a"]) });
    for (operation, name) in [
        (build, "the operation build"),
        (passed, "the operation passthrough"),
        (unknown, "an action that is not known"),
        (insecure, "rights of the host (security)"),
        (source("blob://x"), "a source \"blob\""),
    ] {
        let refusal = text(vec![source("docker-image://busybox"), operation]).expect_err(name);
        assert_eq!(refusal.code, Code::Unimplemented, "{refusal}");
        assert!(refusal.message.contains(name), "{refusal}");
    }
}

#[test]
fn no_word_becomes_an_instruction() {
    for identifier in ["docker-image://a\nRUN b", "docker-image://a AS b", "https://x/y\nRUN z"] {
        let refusal = text(vec![source(identifier)]).expect_err(identifier);
        assert_eq!(refusal.code, Code::InvalidArgument, "{refusal}");
    }
    let mut hostile = exec(&["a"]);
    hostile.mounts.push(Mount { destination: "/x,type=ssh".to_owned(), output: -1, ..Mount::default() });
    assert!(text(vec![source("docker-image://a"), run(hostile)]).is_err());
}

#[test]
fn repositories_are_added() {
    let repository = |attributes: &[(&str, &str)]| {
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let identifier = "git://host/repo#main:sub".to_owned();
        let source = Source { identifier, attributes: owned.collect() };
        text(vec![Operation { source: Some(source), ..Operation::default() }])
    };
    let address = ("git.fullurl", "https://host/repo");
    for (attributes, want) in [
        (
            vec![address, ("git.authtokensecret", "GIT_AUTH_TOKEN")],
            "ADD [\"https://host/repo.git#main:sub\",\"/\"]",
        ),
        (
            vec![
                address,
                ("git.keepgitdir", "true"),
                ("git.checksum", "abc"),
                ("git.skipsubmodules", "true"),
            ],
            "ADD --keep-git-dir=true --checksum=abc [\"https://host/repo.git?submodules=0#main:sub\",\"/\"]",
        ),
    ] {
        let written = repository(&attributes).expect("a Dockerfile");
        assert!(written.contains(want), "{written}");
    }
    let other = repository(&[("git.authtokensecret", "OTHER")]).expect_err("a refusal");
    assert!(other.message.contains("git.authtokensecret=OTHER"), "{other}");
}

#[test]
fn a_download_may_be_unpacked() {
    let copy = CopyFiles {
        source: "/context.tar.gz".to_owned(),
        destination: "/".to_owned(),
        mode: -1,
        time: -1,
        unpacks: true,
        ..CopyFiles::default()
    };
    let action = FileAction { input: -1, second_input: 0, copy: Some(copy.clone()), ..FileAction::default() };
    let unpacking = |action: FileAction| Operation {
        file: Some(Files { actions: vec![action] }),
        ..Operation::default()
    };
    let written =
        text(vec![source("https://host/context.tar.gz"), unpacking(action.clone())]).expect("a Dockerfile");
    assert!(
        written.contains(
            "FROM scratch AS operation-1\nADD --unpack=true [\"https://host/context.tar.gz\",\"/\"]\n"
        ),
        "{written}"
    );
    let other = CopyFiles { source: "/other".to_owned(), ..copy };
    for operations in [
        vec![
            source("https://host/context.tar.gz"),
            unpacking(FileAction { copy: Some(other), ..action.clone() }),
        ],
        vec![source("docker-image://busybox"), unpacking(action)],
    ] {
        assert_eq!(text(operations).expect_err("a refusal").code, Code::Unimplemented);
    }
}

/// A graph of every kind of operation that is built here.
pub(crate) fn example() -> Definition {
    let file = FileAction {
        input: 1,
        second_input: -1,
        output: 0,
        make_file: Some(MakeFile {
            path: "/f".to_owned(),
            mode: 0o644,
            content: b"x".to_vec(),
            time: -1,
            owner: None,
        }),
        ..FileAction::default()
    };
    let directory = FileAction {
        input: 0,
        second_input: -1,
        output: -1,
        make_directory: Some(MakeDirectory {
            path: "/d".to_owned(),
            mode: 0o755,
            makes_parents: false,
            time: -1,
            owner: None,
        }),
        ..FileAction::default()
    };
    let remove = Remove { path: "/f*".to_owned(), may_be_missing: true, allows_wildcard: true };
    let remove =
        FileAction { input: 2, second_input: -1, output: -1, remove: Some(remove), ..FileAction::default() };
    let link = MakeLink { target: "f".to_owned(), path: "/l".to_owned(), owner: None, time: 0 };
    let link =
        FileAction { input: 3, second_input: -1, output: 0, link: Some(link), ..FileAction::default() };
    let diff = Difference { lower: Some(MergeInput { input: 0 }), upper: Some(MergeInput { input: 2 }) };
    let merge = Merge { inputs: vec![MergeInput { input: 0 }, MergeInput { input: 1 }] };
    graph(vec![
        source("docker-image://busybox"),
        Operation { file: Some(Files { actions: vec![directory, file] }), ..Operation::default() },
        run(exec(&["a"])),
        Operation { file: Some(Files { actions: vec![remove, link] }), ..Operation::default() },
        Operation { diff: Some(diff), ..Operation::default() },
        Operation { merge: Some(merge), ..Operation::default() },
    ])
}
