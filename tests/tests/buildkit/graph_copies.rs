//! Copies of build graphs, by the rules that Dockerfiles have no flags for, and what beside them makes directories.

use berth_tests::Engine;
use buildkit_messages::file_operation::{CopyFiles, FileAction, MakeDirectory};
use buildkit_messages::operations::Definition;

use crate::graphs::{build, exec, files, graph_of, made, source};
use crate::offers::Offers;
use crate::streams::Failure;

/// The tree that is copied from, and copied to.
const TREE: &str = "mkdir -p /s/a /s/t /ex/t; echo 1 > /s/f; echo 2 > /s/t/f2; ln -s /etc/passwd /s/ln; \
    ln -s t /s/lt; chmod 711 /s/t; touch -d '2001-01-01 00:00' /s/t; chmod 700 /ex/t; touch /ex/t/old";
const LIST: &str = "sh -c 'cd /; find new ex -exec stat -c \"%N %a\" {} + 2>/dev/null | sort'";
/// What is in the destination before.
const BEFORE: [&str; 3] = ["ex 755", "ex/t 700", "ex/t/old 644"];

fn copy(from: &str, to: &str) -> CopyFiles {
    CopyFiles {
        source: from.to_owned(),
        destination: to.to_owned(),
        allows_wildcard: true,
        mode: -1,
        time: -1,
        ..CopyFiles::default()
    }
}

/// A graph that changes the tree.
fn changed(action: FileAction) -> Definition {
    let action = FileAction { input: 0, output: 0, ..action };
    let image = source("docker-image://busybox");
    graph_of(vec![(image, vec![]), (exec(TREE, &[]), vec![0]), (files(vec![action]), vec![1])])
}

fn copied(copy: CopyFiles) -> Definition {
    changed(FileAction { second_input: 0, copy: Some(copy), ..FileAction::default() })
}

fn failure(engine: &Engine, definition: Definition) -> Failure {
    build(engine, definition, Offers::of("", &[])).result.expect_err("a failed build")
}

#[test]
fn directories_and_links_are_copied_as_the_graph_says() {
    let engine = Engine::start();
    let contents = |copy: CopyFiles| CopyFiles { copies_contents: true, ..copy };
    let following = |copy: CopyFiles| CopyFiles { follows_links: true, ..copy };
    let whole = ["new 755", "new/a 755", "new/f 644", "new/ln -> /etc/passwd 777"];
    let tree = ["new/lt -> t 777", "new/t 711", "new/t/f2 644"];
    for (copy, expected) in [
        (copy("/s/*", "/new/"), [&whole[..], &tree[..]].concat()),
        (following(copy("/s/l*", "/new/")), vec!["new 755", "new/ln 644", "new/lt 711", "new/lt/f2 644"]),
        (copy("/s/ln", "/new"), vec!["new -> /etc/passwd 777"]),
        (following(copy("/s/ln", "/new")), vec!["new 644"]),
        (copy("/s/lt/f2", "/new"), vec!["new 644"]),
        (contents(copy("/s/lt", "/new/")), vec!["new 755", "new/lt -> t 777"]),
        (copy("/s/t", "/new"), vec!["new 711", "new/f2 644"]),
        (copy("/s/t", "/new/"), vec!["new 755", "new/t 711", "new/t/f2 644"]),
        (contents(copy("/s/t", "/new")), vec!["new 755", "new/f2 644"]),
        // A directory that is there keeps its mode.
        (copy("/s/t", "/ex"), vec!["ex/t/f2 644"]),
        (contents(copy("/s/t", "/ex")), vec!["ex/f2 644"]),
        (CopyFiles { may_match_nothing: true, ..copy("/s/no*", "/new") }, vec![]),
        (
            CopyFiles { makes_parents: true, ..copy("/s/t", "/new/n/") },
            vec!["new 755", "new/n 755", "new/n/t 711", "new/n/t/f2 644"],
        ),
    ] {
        let shown = format!("{copy:?}");
        let built = build(&engine, copied(copy), Offers::of("", &[]));
        assert!(built.result.is_ok(), "{shown}: {:?}", built.result);
        let mut expected = [&BEFORE[..], &expected[..]].concat();
        expected.sort_unstable();
        // Links alone have quotes.
        let listed = engine.output_of("graph", LIST).replace('\'', "");
        let mut listed: Vec<&str> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, expected, "{shown}");
    }
    engine.forget_builds();
}

#[test]
fn a_graph_says_what_may_be_missing() {
    let engine = Engine::start();
    let missing = "no such file or directory";
    for (definition, text) in [
        (copied(copy("/s/no*", "/new")), "\"/s/no*\": not found"),
        (copied(copy("/s/f", "/new/n/f")), missing),
        (copied(copy("/s/f", "/new/n/")), missing),
        (changed(made("/new/f", b"x")), missing),
    ] {
        let (_, message) = failure(&engine, definition);
        assert!(message.contains(text), "{message}");
    }
    engine.forget_builds();
}

#[test]
fn only_the_last_of_several_directories_has_the_time() {
    let engine = Engine::start();
    let make = MakeDirectory {
        path: "/one/two".to_owned(),
        mode: 0o751,
        makes_parents: true,
        owner: None,
        time: 1_000_000_000_000_000_000,
    };
    let action = FileAction { second_input: -1, make_directory: Some(make), ..FileAction::default() };
    let built = build(&engine, changed(action), Offers::of("", &[]));
    assert!(built.result.is_ok(), "{:?}", built.result);
    let shown = engine.output_of("graph", "sh -c 'stat -c %a:%Y /one/two; stat -c %a /one; stat -c %Y /one'");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[..2], ["751:1000000000", "751"]);
    assert_ne!(lines[2], "1000000000");
    engine.forget_builds();
}

#[test]
fn a_command_runs_in_an_absolute_directory() {
    let engine = Engine::start();
    for directory in ["", "a/b", "."] {
        let mut operation = exec("true", &[]);
        let process = operation.exec.as_mut().and_then(|exec| exec.process.as_mut()).expect("a process");
        process.directory = directory.to_owned();
        let image = source("docker-image://busybox");
        let (_, message) = failure(&engine, graph_of(vec![(image, vec![]), (operation, vec![0])]));
        assert!(message.contains(&format!("{directory:?} of an exec")), "{message}");
    }
    engine.forget_builds();
}
