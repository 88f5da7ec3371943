//! Ends of builds without a waiter: a client that leaves, a daemon that is killed.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use berth_tests::{Engine, wait};
use buildkit_messages::control::SolveResponse;
use tokio::task::JoinHandle;

use crate::client::{Control, Order, run};
use crate::offers::{Offer, Offers};
use crate::session::Session;
use crate::streams::Failure;

const SLEEPING: &str = "FROM busybox\nRUN sleep 600\n";

/// A build under way: the call of its client, which closes its connection when it is aborted, and the session.
pub(crate) struct Begun {
    pub(crate) call: JoinHandle<Result<SolveResponse, Failure>>,
    session: Session,
}

/// Begins a build and waits until it has come so far.
async fn begin(socket: PathBuf, offers: Offers, is_there: impl AsyncFn(&Session) -> bool) -> Begun {
    begin_order(socket, Order::of(offers, "never"), is_there).await
}

pub(crate) async fn begin_order(
    socket: PathBuf,
    order: Order,
    is_there: impl AsyncFn(&Session) -> bool,
) -> Begun {
    let session = Session::open(&socket, "ending", order.offers).await;
    let control = Control::open(&socket).await;
    let mut request = order.request;
    (request.reference, request.session) = ("ending".to_owned(), "ending".to_owned());
    let call = tokio::spawn(async move { control.solve(&request).await });
    while !is_there(&session).await {
        assert!(!call.is_finished(), "the build ended: {:?}", call.await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Begun { call, session }
}

fn containers(engine: &Engine) -> usize {
    let listed = engine.at("1.55").get("/containers/json?all=1").expect(200).json();
    listed.as_array().map_or(0, Vec::len)
}

pub(crate) fn nothing_is_left(engine: &Engine) {
    wait::until("nothing of the build", || {
        (containers(engine) == 0 && engine.builds_with_files() == 0 && engine.shims().is_empty())
            .then_some(())
    });
}

#[test]
fn a_client_that_leaves_cancels_its_build() {
    let engine = Engine::start();
    run(async {
        let is_running = async |_: &Session| containers(&engine) == 1;
        let begun = begin(engine.socket(), Offers::of(SLEEPING, &[]), is_running).await;
        begun.call.abort();
    });
    nothing_is_left(&engine);
}

#[test]
fn a_session_that_ends_cancels_its_build() {
    let engine = Engine::start();
    let (code, text) = run(async {
        let is_running = async |_: &Session| containers(&engine) == 1;
        let begun = begin(engine.socket(), Offers::of(SLEEPING, &[]), is_running).await;
        drop(begun.session);
        begun.call.await.expect("the call").expect_err("a cancelled build")
    });
    assert_eq!(code, 1, "{text}");
    nothing_is_left(&engine);
}

#[test]
fn a_client_that_stalls_and_leaves_is_not_waited_for() {
    let engine = Engine::start();
    let mut context = Offer::of(&[("a", b"one")]);
    context.stalls = true;
    run(async {
        let is_asked = async |session: &Session| session.received().await.asked.contains(&"a".to_owned());
        let offers = Offers::with("FROM busybox\nCOPY a /\n", context);
        let begun = begin(engine.socket(), offers, is_asked).await;
        begun.call.abort();
    });
    nothing_is_left(&engine);
}

/// A build with every kind of thing that may be left: stages, a mount of a cache, files of the client, a secret.
const ROUNDS: &str = "FROM busybox AS one\nRUN --mount=type=cache,target=/c touch /c/f /one\nFROM busybox AS two\nRUN echo two > /two\n\
    FROM busybox\nCOPY a /a\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN cat /a /two > /all\nRUN rm /a\n";

#[test]
fn kill_9_at_any_moment_of_builds_leaves_nothing() {
    let mut engine = Engine::start();
    for round in 0..8_u64 {
        run(async {
            let offers = Offers::of(ROUNDS, &[("a", b"content")]);
            let order = Order::of(offers, "rounds").option("no-cache", "");
            let session = Session::open(&engine.socket(), "ending", order.offers).await;
            let control = Control::open(&engine.socket()).await;
            let mut request = order.request;
            (request.reference, request.session) = ("ending".to_owned(), "ending".to_owned());
            let call = tokio::spawn(async move { control.solve(&request).await });
            // Later from round to round: where the build is then is left to chance.
            tokio::time::sleep(Duration::from_millis(round * 40)).await;
            engine.kill_daemon();
            let _ = call.await.expect("the call");
            drop(session);
        });
        engine.start_daemon();
        nothing_but_caches_is_left(&engine);
    }
    let offers = Offers::of(ROUNDS, &[("a", b"content")]);
    let built = run(Order::of(offers, "rounds").run(engine.socket()));
    built.result.as_ref().expect("a build");
    assert_eq!(
        engine.output_of("rounds", "cat /all; ls /a 2>&1"),
        "contenttwo\nls: /a: No such file or directory\n"
    );
    engine.forget_builds();
}

fn nothing_but_caches_is_left(engine: &Engine) {
    wait::until("nothing of the build", || {
        (containers(engine) == 0 && engine.builds_with_files() == 0 && engine.shims().is_empty())
            .then_some(())
    });
    let listed = engine.at("1.55").get("/images/json?all=1").expect(200).json();
    let names: Vec<_> =
        listed.as_array().expect("a list").iter().map(|image| image["RepoTags"][0].clone()).collect();
    let known = |name: &serde_json::Value| name == "busybox:latest" || name == "rounds:latest";
    let unnamed =
        listed.as_array().expect("a list").iter().filter(|image| image["RepoTags"] == serde_json::json!([]));
    // A result that lost its name to the next one is an image all the same.
    assert!(names.iter().filter(|name| !name.is_null()).all(known), "{names:?}");
    assert!(unnamed.count() <= 8, "{listed}");
}

#[test]
fn kill_9_of_the_daemon_leaves_nothing_of_a_build() {
    let mut engine = Engine::start();
    run(async {
        let is_running = async |_: &Session| containers(&engine) == 1;
        let begun = begin(engine.socket(), Offers::of(SLEEPING, &[]), is_running).await;
        engine.kill_daemon();
        begun.call.await.expect("the call").expect_err("no answer");
    });
    engine.start_daemon();
    nothing_is_left(&engine);
    let offers = Offers::of("FROM busybox\nRUN echo again\n", &[]);
    let built = run(Order::of(offers, "again").run(engine.socket()));
    assert_eq!(built.output(), "again\n", "{:?}", built.result);
    engine.forget_builds();
}

#[test]
fn what_a_killed_daemon_left_of_clients_files_is_removed() {
    let mut engine = Engine::start();
    let directory = engine.data_root().join("buildkit");
    engine.kill_daemon();
    let _socket = UnixListener::bind(directory.join("ssh-0123456789ab")).expect("a socket");
    let documents = directory.join("export-0");
    std::fs::create_dir(&documents).expect("a directory");
    std::fs::write(documents.join("provenance.json"), "another's").expect("a document");
    engine.start_daemon();
    let left = std::fs::read_dir(&directory)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["received"]);
}
