//! Changes of files in build graphs that Dockerfiles do not have: removals, symbolic links, directories with all that a
//! graph says of them, and differences of trees.

use berth_tests::Engine;
use buildkit_messages::file_operation::{
    Account, AccountName, FileAction, MakeDirectory, MakeFile, MakeLink, Owner, Remove,
};
use buildkit_messages::operations::{Difference, Merge, MergeInput, Operation};

use crate::client::Outcome;
use crate::graphs::{build, exec, files, graph_of, made, source};
use crate::offers::Offers;
use crate::streams::Failure;

const IMAGE: &str = "docker-image://busybox";

/// Actions that follow each other, on the first input.
fn following(actions: Vec<FileAction>) -> Operation {
    let last = actions.len() - 1;
    let place = |(number, action): (usize, FileAction)| {
        let number_of = i64::try_from(number).expect("a number");
        FileAction {
            input: number_of,
            second_input: -1,
            output: if number == last { 0 } else { -1 },
            ..action
        }
    };
    files(actions.into_iter().enumerate().map(place).collect())
}

fn remove(path: &str, may_be_missing: bool, allows_wildcard: bool) -> FileAction {
    let remove = Remove { path: path.to_owned(), may_be_missing, allows_wildcard };
    FileAction { remove: Some(remove), ..FileAction::default() }
}

fn link(target: &str, path: &str) -> FileAction {
    let link = MakeLink { target: target.to_owned(), path: path.to_owned(), owner: None, time: -1 };
    FileAction { link: Some(link), ..FileAction::default() }
}

fn directory(path: &str, makes_parents: bool) -> MakeDirectory {
    MakeDirectory { path: path.to_owned(), mode: 0o755, makes_parents, owner: None, time: -1 }
}

fn on_image(engine: &Engine, actions: Vec<FileAction>) -> Outcome {
    let definition = graph_of(vec![(source(IMAGE), vec![]), (following(actions), vec![0])]);
    build(engine, definition, Offers::of("", &[]))
}

fn failure(engine: &Engine, action: FileAction) -> Failure {
    on_image(engine, vec![action]).result.expect_err("a failed build")
}

#[test]
fn files_are_removed() {
    let engine = Engine::start();
    let actions = || {
        vec![
            made("/a.txt", b"a"),
            made("/b.txt", b"b"),
            made("/b.md", b"c"),
            FileAction { make_directory: Some(directory("/d/e/f", true)), ..FileAction::default() },
            link("/b.md", "/away"),
            remove("/*.txt", false, true),
            remove("/d/e", false, false),
            remove("/etc/group", false, false),
            remove("/../nosuch/at/all", true, false),
            remove("/away", false, false),
        ]
    };
    for wanted in ["done", "cached"] {
        let built = on_image(&engine, actions());
        assert!(built.result.is_ok(), "{:?}", built.result);
        assert_eq!(built.step("[operation-1  9/10] rm /../nosuch/at/all"), wanted);
    }
    let listed = engine
        .output_of("graph", "sh -c 'ls -d /*.txt /b.md /d /d/e /etc/group /etc/passwd /away 2>/dev/null'");
    assert_eq!(listed, "/b.md\n/d\n/etc/passwd\n");
    for (action, text) in [
        (remove("/nosuch", false, false), "/nosuch: no such file or directory"),
        (remove("/*.nosuch", false, true), "/*.nosuch: no such file or directory"),
        (remove("/etc/passwd/x", false, false), "/etc/passwd/x: no such file or directory"),
        (remove("/", false, false), "/: no such file or directory"),
    ] {
        let (_, message) = failure(&engine, action);
        assert!(message.ends_with(text), "{message}");
    }
    engine.forget_builds();
}

#[test]
fn links_and_directories_are_what_the_graph_says() {
    let engine = Engine::start();
    let by_name = |name: &str| Account { name: Some(AccountName { name: name.to_owned() }), number: 0 };
    let owner = || Owner { user: Some(by_name("daemon")), group: Some(Account { name: None, number: 7 }) };
    let time = 1_000_000_000_000_000_000;
    let dressed = MakeDirectory { mode: 0o1751, owner: Some(owner()), time, ..directory("/made/deep", true) };
    let file = MakeFile {
        path: "/made/file".to_owned(),
        mode: 0o640,
        content: b"x".to_vec(),
        owner: Some(owner()),
        time,
    };
    let dated =
        MakeLink { target: "deep".to_owned(), path: "/made/link".to_owned(), owner: Some(owner()), time };
    let built = on_image(
        &engine,
        vec![
            FileAction { make_directory: Some(dressed), ..FileAction::default() },
            FileAction { make_directory: Some(directory("/etc", false)), ..FileAction::default() },
            FileAction { make_file: Some(file), ..FileAction::default() },
            FileAction { link: Some(dated), ..FileAction::default() },
        ],
    );
    assert!(built.result.is_ok(), "{:?}", built.result);
    let shown = engine.output_of(
        "graph",
        "sh -c 'stat -c \"%n %a %u:%g %Y\" /made/deep /made/file; stat -c \"%N %u:%g %Y\" /made/link; ls /etc/passwd'",
    );
    assert_eq!(
        shown,
        "/made/deep 1751 1:7 1000000000\n/made/file 640 1:7 1000000000\n\
         '/made/link' -> 'deep' 1:7 1000000000\n/etc/passwd\n"
    );
    // What differs in its time alone is another step.
    for time in [1_100_000_000_000_000_000, 1_200_000_000_000_000_000] {
        let dated =
            MakeFile { path: "/dated".to_owned(), mode: 0o644, content: b"x".to_vec(), owner: None, time };
        let built = on_image(&engine, vec![FileAction { make_file: Some(dated), ..FileAction::default() }]);
        assert!(built.result.is_ok(), "{:?}", built.result);
        assert_eq!(engine.output_of("graph", "stat -c %Y /dated"), format!("{}\n", time / 1_000_000_000));
    }
    let unknown = Owner { user: Some(by_name("nosuch")), group: None };
    let unowned = MakeDirectory { owner: Some(unknown), ..directory("/x", false) };
    for (action, text) in [
        (link("a", "/etc/passwd"), "/etc/passwd: file exists"),
        (link("a", "/nosuch/link"), "/nosuch/link: no such file or directory"),
        (
            FileAction { make_directory: Some(directory("/nosuch/x", false)), ..FileAction::default() },
            "/nosuch/x: no such file or directory",
        ),
        (
            FileAction { make_directory: Some(directory("/etc/passwd", true)), ..FileAction::default() },
            "/etc/passwd: not a directory",
        ),
        (FileAction { make_directory: Some(unowned), ..FileAction::default() }, "can't find uid for nosuch"),
    ] {
        let (_, message) = failure(&engine, action);
        assert!(message.contains(text), "{message}");
    }
    engine.forget_builds();
}

#[test]
fn the_difference_of_trees_has_what_was_removed_too() {
    let engine = Engine::start();
    let input = |input: i64| Some(MergeInput { input });
    let diff = |lower: i64, upper: i64| Operation {
        diff: Some(Difference { lower: input(lower), upper: input(upper) }),
        ..Operation::default()
    };
    let merge = Merge { inputs: vec![MergeInput { input: 0 }, MergeInput { input: 1 }] };
    let merge = Operation { merge: Some(merge), ..Operation::default() };
    let definition = graph_of(vec![
        (source(IMAGE), vec![]),
        (exec("echo new > /new; rm /etc/group", &[]), vec![0]),
        (diff(0, 1), vec![0, 1]),
        (following(vec![made("/other", b"other\n")]), vec![0]),
        (merge, vec![3, 2]),
    ]);
    let built = build(&engine, definition, Offers::of("", &[]));
    assert!(built.result.is_ok(), "{:?}", built.result);
    let shown = engine.output_of("graph", "sh -c 'cat /new /other; ls /etc/group 2>&1; ls /etc/passwd'");
    assert_eq!(shown, "new\nother\nls: /etc/group: No such file or directory\n/etc/passwd\n");
    let alone = graph_of(vec![
        (source(IMAGE), vec![]),
        (exec("echo new > /new; rm /etc/group", &[]), vec![0]),
        (diff(0, 1), vec![0, 1]),
    ]);
    let built = build(&engine, alone, Offers::of("", &[]));
    assert!(built.result.is_ok(), "{:?}", built.result);
    let image = engine.at("1.55").get("/images/graph/json").expect(200).json();
    assert_eq!(image["RootFS"]["Layers"].as_array().map_or(0, Vec::len), 1, "{image}");
    let unrelated = graph_of(vec![
        (source(IMAGE), vec![]),
        (exec("touch /one", &[]), vec![0]),
        (exec("touch /two", &[]), vec![0]),
        (diff(0, 1), vec![1, 2]),
    ]);
    let (code, message) = build(&engine, unrelated, Offers::of("", &[])).result.expect_err("no difference");
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("only where one is made of the other"), "{message}");
    engine.forget_builds();
}
