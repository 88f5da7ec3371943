//! Builds: what the client offers becomes an image, and the second build gets only what has changed.

use std::collections::HashMap;

use berth_tests::Engine;
use buildkit_messages::file_sync::Stat;
use buildkit_messages::gateway::{
    FrontendSolveRequest, FrontendSolveResponse, PingRequest, PongResponse, ReturnRequest, ReturnResponse,
};
use buildkit_messages::operations::Definition;

use crate::client::{Control, Order, run};
use crate::offers::{Offer, Offers, SYMLINK};
use crate::session::Session;

const DOCKERFILE: &str = "FROM busybox\nCOPY . /x\nRUN echo hi\n";

#[test]
fn files_of_the_client_become_an_image() {
    let engine = Engine::start();
    let large = vec![9; 200_000];
    let mut context = Offer::of(&[("a", b"one"), ("deep/b", &large), ("empty", b"")]);
    let link = Stat { path: b"link".to_vec(), mode: SYMLINK | 0o777, link: b"a".to_vec(), ..Stat::default() };
    context.add(link, &[]);
    let again =
        Stat { path: b"twice".to_vec(), mode: 0o644, size: 3, link: b"a".to_vec(), ..Stat::default() };
    context.add(again, &[]);
    let built = run(Order::of(Offers::with(DOCKERFILE, context), "made").run(engine.socket()));
    assert_eq!(built.output(), "hi\n", "{:?}", built.result);
    for step in ["[internal] load build definition from Dockerfile", "[internal] load build context"] {
        assert_eq!(built.step(step), "done");
    }
    assert_eq!(built.step("[2/3] COPY . /x"), "done");
    assert_eq!(built.step("[3/3] RUN echo hi"), "done");
    assert_eq!(built.step("exporting to image"), "done");
    let image = engine.at("1.55").get("/images/made/json").expect(200).json()["Id"].clone();
    assert_eq!(image, built.image());
    let response = built.result.as_ref().expect("a build");
    assert_eq!(response["image.name"], "docker.io/library/made:latest");
    let files = engine.output_of("made", "cd /x && cat a link twice && wc -c < deep/b && stat -c %h a && ls");
    assert_eq!(files, "oneoneone200000\n2\na\ndeep\nempty\nlink\ntwice\n");
    engine.forget_builds();
}

#[test]
fn a_second_build_gets_only_what_has_changed() {
    let engine = Engine::start();
    let offers = |changed: &'static [u8]| {
        Offers::of(DOCKERFILE, &[("changed", changed), ("kept", b"kept"), ("d/kept", b"kept too")])
    };
    let first = run(Order::of(offers(b"1"), "twice").run(engine.socket()));
    assert!(first.received.asked.contains(&"d/kept".to_owned()), "{:?}", first.received.asked);
    let second = run(Order::of(offers(b"1"), "twice").run(engine.socket()));
    assert_eq!(second.received.asked, ["Dockerfile"], "nothing of the context has changed");
    assert_eq!(second.step("[3/3] RUN echo hi"), "cached");
    assert_eq!(second.image(), first.image());
    let third = run(Order::of(offers(b"22"), "twice").run(engine.socket()));
    assert_eq!(third.received.asked, ["Dockerfile", "changed"]);
    assert_eq!(third.step("[2/3] COPY . /x"), "done");
    let files = engine.output_of("twice", "cat /x/changed /x/kept /x/d/kept");
    assert_eq!(files, "22keptkept too");
    engine.forget_builds();
}

#[test]
fn options_steer_the_build() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS one\nARG A=default\nRUN echo $A > /a\nFROM one\nRUN touch /two\n";
    let order = Order::of(Offers::of(dockerfile, &[]), "steered")
        .option("target", "one")
        .option("build-arg:A", "given")
        .option("label:l", "v");
    let built = run(order.run(engine.socket()));
    let image = engine.at("1.55").get("/images/steered/json").expect(200).json();
    assert_eq!(image["Config"]["Labels"]["l"], "v", "{:?}", built.result);
    assert_eq!(
        engine.output_of("steered", "cat /a; ls /two 2>&1"),
        "given\nls: /two: No such file or directory\n"
    );
    let again =
        Order::of(Offers::of(dockerfile, &[]), "steered").option("target", "one").option("no-cache", "");
    let again = run(again.option("build-arg:A", "given").run(engine.socket()));
    assert_eq!(again.step("[one 2/2] RUN echo given > /a"), "done", "no-cache runs it again");
    engine.forget_builds();
}

#[test]
fn a_failed_step_is_an_error_with_its_text() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN echo before; exit 3\n";
    let built = run(Order::of(Offers::of(dockerfile, &[]), "failed").run(engine.socket()));
    assert_eq!(built.output(), "before\n");
    let (code, text) = built.failure();
    assert_eq!(*code, 2, "{text}");
    assert_eq!(
        text,
        "process \"/bin/sh -c echo before; exit 3\" did not complete successfully: exit code: 3"
    );
    assert_ne!(built.step("[2/2] RUN echo before; exit 3"), "done");
    assert_eq!(engine.at("1.55").get("/images/failed/json").status(), 404);
    engine.forget_builds();
}

#[test]
fn what_is_missing_is_said() {
    let engine = Engine::start();
    let nothing = Offers::of("FROM busybox\nCOPY nosuch /\n", &[("a", b"")]);
    let (_, text) = run(Order::of(nothing, "x").run(engine.socket())).result.expect_err("no such file");
    assert!(text.contains("nosuch"), "{text}");
    let mut offers = Offers::of("FROM busybox\n", &[]);
    offers.directories.insert("dockerfile".to_owned(), Offer::of(&[]));
    let (code, text) = run(Order::of(offers, "x").run(engine.socket())).result.expect_err("no Dockerfile");
    assert_eq!(code, 5, "{text}");
    assert_eq!(text, "failed to read dockerfile: open Dockerfile: no such file or directory");
    let other = Offers::of("# syntax=someone/else:1\nnot a Dockerfile\n", &[]);
    let (code, text) = run(Order::of(other, "x").run(engine.socket())).result.expect_err("another frontend");
    assert_eq!(code, 2, "{text}");
    assert!(text.starts_with("the frontend image \"someone/else:1\" is not supported"), "{text}");
    engine.forget_builds();
}

#[test]
fn a_client_may_drive_its_build() {
    let engine = Engine::start();
    let offers = Offers::of("FROM busybox\nRUN touch /driven\n", &[]);
    let order = Order::of(offers, "driven");
    let response = run(async {
        let socket = engine.socket();
        let _session = Session::open(&socket, "driving", order.offers).await;
        let (solving, driving) = (Control::open(&socket).await, Control::open(&socket).await);
        let mut request = order.request;
        request.frontend = String::new();
        (request.reference, request.session) = ("driven-1".to_owned(), "driving".to_owned());
        let drive = async {
            let _: PongResponse = driving.gateway("driven-1", "Ping", &PingRequest {}).await.expect("a pong");
            let frontend = FrontendSolveRequest {
                frontend: "dockerfile.v0".to_owned(),
                ..FrontendSolveRequest::default()
            };
            let made: FrontendSolveResponse =
                driving.gateway("driven-1", "Solve", &frontend).await.expect("a result");
            let result = ReturnRequest { result: made.result, error: None };
            let _: ReturnResponse = driving.gateway("driven-1", "Return", &result).await.expect("taken");
        };
        let (response, ()) = tokio::join!(solving.solve(&request), drive);
        response
    });
    let response = response.expect("a build").exporter_response;
    assert_eq!(response["image.name"], "docker.io/library/driven:latest");
    assert_eq!(engine.output_of("driven", "ls /driven"), "/driven\n");
    engine.forget_builds();
}

/// A result comes back as a graph, which another build takes as one of its contexts, with its configuration.
#[test]
fn a_result_is_a_context_of_another_build() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS a\nENV KEPT=yes\nRUN echo made > /made\n\
        FROM base AS b\nRUN [ \"$KEPT\" = yes ] && cp /made /taken\nCOPY --from=base /made /copied\n";
    let order = Order::of(Offers::of(dockerfile, &[]), "second");
    let response = run(async {
        let socket = engine.socket();
        let _session = Session::open(&socket, "chained", order.offers).await;
        let (solving, driving) = (Control::open(&socket).await, Control::open(&socket).await);
        let mut request = order.request;
        request.frontend = String::new();
        (request.reference, request.session) = ("chained-1".to_owned(), "chained".to_owned());
        let solve = async |target: &str, inputs: HashMap<String, Definition>| {
            let mut options = HashMap::from([("target".to_owned(), target.to_owned())]);
            options.extend(inputs.keys().map(|name| (format!("context:{name}"), format!("input:{name}"))));
            let frontend = "dockerfile.v0".to_owned();
            let call = FrontendSolveRequest { frontend, options, inputs, ..FrontendSolveRequest::default() };
            let made = driving.gateway::<FrontendSolveResponse>("chained-1", "Solve", &call).await;
            made.expect("a result").result.expect("a result")
        };
        let drive = async {
            let first = solve("a", HashMap::new()).await.reference.expect("a reference");
            let definition = first.definition.expect("a graph");
            assert!(!definition.metadata.is_empty(), "clients would take it for none");
            let inputs = HashMap::from([("base".to_owned(), definition)]);
            let result = ReturnRequest { result: Some(solve("b", inputs).await), error: None };
            let _: ReturnResponse = driving.gateway("chained-1", "Return", &result).await.expect("taken");
        };
        let (response, ()) = tokio::join!(solving.solve(&request), drive);
        response
    });
    let _ = response.expect("a build");
    assert_eq!(engine.output_of("second", "cat /made /taken /copied; echo $KEPT"), "made\nmade\nmade\nyes\n");
    engine.forget_builds();
}
