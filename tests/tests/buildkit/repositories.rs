//! Repositories as contexts, by git's own protocol.

use std::fs;

use berth_tests::Engine;
use berth_tests::services::{Service, git};
use buildkit_messages::control::SolveRequest;
use buildkit_messages::operations::{Operation, Source};

use crate::client::{Order, Outcome, run};
use crate::graphs::graph_of;
use crate::offers::Offers;

const PORT: u16 = 9418;

/// Makes a repository without `.git` in its name: a commit with two tags, a branch with one more; gives the ids of the
/// commit, of the tag that is an object, and of the branch.
fn make(service: &Service) -> [String; 3] {
    let repository = service.root().join("repo");
    fs::create_dir_all(&repository).expect("a directory");
    let _ = git(&repository, &["init", "-q"]);
    fs::write(repository.join("Dockerfile"), "FROM busybox\nCOPY . /src/\n").expect("a file");
    let _ = git(&repository, &["add", "."]);
    let _ = git(&repository, &["commit", "-q", "-m", "one"]);
    let _ = git(&repository, &["tag", "v1"]);
    let _ = git(&repository, &["tag", "-a", "v2", "-m", "two"]);
    let _ = git(&repository, &["checkout", "-q", "-b", "side"]);
    fs::write(repository.join("more"), "more\n").expect("a file");
    let _ = git(&repository, &["add", "."]);
    let _ = git(&repository, &["commit", "-q", "-m", "two"]);
    let _ = git(&repository, &["checkout", "-q", "main"]);
    ["v1", "v2", "side"].map(|name| git(&repository, &["rev-parse", name]).trim().to_owned())
}

fn build(engine: &Engine, context: &str, keeps_git: bool) -> Outcome {
    let keep = if keeps_git { "1" } else { "0" };
    let order = Order::of(Offers::of("", &[]), "cloned").option("context", context);
    run(order.option("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR", keep).run(engine.socket()))
}

#[test]
fn the_name_of_what_is_fetched_is_kept_with_the_repository() {
    let engine = Engine::start();
    let service = Service::git(&engine, PORT);
    let [commit, tag, side] = make(&service);
    for (reference, file, want) in [
        ("#v1", "tags/v1", &commit),
        ("#refs/tags/v1", "tags/v1", &commit),
        ("?tag=v2", "tags/v2", &tag),
        ("#side", "heads/side", &side),
    ] {
        let built = build(&engine, &service.url(&format!("repo{reference}")), true);
        assert!(built.result.is_ok(), "{reference}: {:?}", built.result);
        let kept = engine.output_of("cloned", &format!("cat /src/.git/refs/{file}"));
        assert_eq!(kept.trim(), want, "{reference}");
    }
    let dockerfile = format!("FROM busybox\nADD --keep-git-dir=true {} /src\n", service.url("repo#v1"));
    let built = run(Order::of(Offers::of(&dockerfile, &[]), "added").run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("added", "cat /src/.git/refs/tags/v1").trim(), commit);
    let built = build(&engine, &service.url("repo#v1"), false);
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("cloned", "ls -A /src"), "Dockerfile\n");
    engine.forget_builds();
}

#[test]
fn a_repository_of_a_graph_has_the_address_that_it_is_given() {
    let engine = Engine::start();
    let service = Service::git(&engine, PORT);
    let _ = make(&service);
    let address = service.url("repo");
    let source = Source {
        identifier: format!("{address}#side"),
        attributes: [("git.fullurl".to_owned(), address)].into(),
    };
    let definition = graph_of(vec![(Operation { source: Some(source), ..Operation::default() }, vec![])]);
    let order = Order::of(Offers::of("", &[]), "graph");
    let request = SolveRequest { frontend: String::new(), definition: Some(definition), ..order.request };
    let built = run(Order { request, ..Order::of(Offers::of("", &[]), "graph") }.run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    let files = engine.at("1.55").get("/images/graph/json").expect(200).json();
    assert_eq!(files["RootFS"]["Layers"].as_array().map_or(0, Vec::len), 1, "{files}");
    engine.forget_builds();
}

#[test]
fn a_query_that_no_repository_has_is_refused() {
    let engine = Engine::start();
    for (query, want) in [
        ("foo=v1", "unexpected query \"foo\""),
        ("foo", "query \"foo\" has no value"),
        ("submodules=maybe", "invalid submodules value: \"maybe\""),
    ] {
        let refused = build(&engine, &format!("git://127.0.0.1:1/repo?{query}"), false);
        assert_eq!(*refused.failure(), (2, want.to_owned()), "{query}");
    }
}
