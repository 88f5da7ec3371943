//! `POST /build?version=2`: builds for clients that open a session and speak nothing else of the protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_tests::{Answer, Client, Context, Engine, wait};
use buildkit_messages::control::StatusResponse;
use prost::Message;
use serde_json::Value;

use crate::client::run;
use crate::offers::Offers;
use crate::session::Session;

const DOCKERFILE: &str = "FROM busybox AS made\nRUN echo made > /f\nFROM busybox\nCOPY --from=made /f /f\nCOPY a /a\nRUN cat /f /a\n";
const TAR: &[(&str, &str)] = &[("Content-Type", "application/x-tar")];

/// The objects of a stream.
fn lines(answer: &Answer) -> Vec<Value> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// The content of the progress: names of steps, and all output.
fn progress(lines: &[Value]) -> (Vec<String>, String) {
    let (mut names, mut output) = (Vec::new(), Vec::new());
    for line in lines.iter().filter(|line| line["id"] == "moby.buildkit.trace") {
        let bytes = STANDARD.decode(line["aux"].as_str().expect("a text")).expect("base64");
        let status = StatusResponse::decode(bytes.as_slice()).expect("a message");
        names.extend(status.vertices.into_iter().map(|vertex| vertex.name));
        status.logs.into_iter().for_each(|log| output.extend(log.message));
    }
    (names, String::from_utf8_lossy(&output).into_owned())
}

fn image(lines: &[Value]) -> &str {
    let last = lines.last().expect("an object");
    assert_eq!(last["id"], "moby.image.id", "{last}");
    last["aux"]["ID"].as_str().expect("an id")
}

fn post(client: &Client, path: &str, body: Vec<u8>) -> tokio::task::JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    tokio::task::spawn_blocking(move || client.call("POST", &path, TAR, &body))
}

#[test]
fn a_session_offers_the_context() {
    let engine = Engine::start();
    let client = engine.at("1.41");
    let offers = || std::sync::Arc::new(Offers::of(DOCKERFILE, &[("a", b"of the session")]));
    let answer = run(async {
        let _session = Session::open(&engine.socket(), "image", offers()).await;
        let path = "/build?version=2&remote=client-session&session=image&t=one&t=two:2&buildid=b1";
        post(&client, path, Vec::new()).await.expect("an answer").expect(200)
    });
    let lines = lines(&answer);
    let (names, output) = progress(&lines);
    assert_eq!(output, "made\nof the session");
    assert!(names.contains(&"[stage-1 4/4] RUN cat /f /a".to_owned()), "{names:?}");
    for name in ["one", "two:2"] {
        let found = client.get(&format!("/images/{name}/json")).expect(200).json();
        assert_eq!(found["Id"], image(&lines), "{name}");
    }
    let answer = run(async {
        let session = Session::open(&engine.socket(), "file", offers()).await;
        let path =
            "/build?version=2&remote=client-session&session=file&outputs=%5B%7B%22Type%22%3A%22tar%22%7D%5D";
        let answer = post(&client, path, Vec::new()).await.expect("an answer").expect(200);
        let file = session.received().await.file;
        assert!(tar::Archive::new(file.as_slice()).entries().expect("an archive").count() > 2);
        answer
    });
    assert!(answer.body.windows(9).all(|text| text != b"errorDeta"), "{}", answer.text());
    engine.forget_builds();
}

#[test]
fn the_context_comes_with_the_request_or_with_another() {
    let engine = Engine::start();
    let client = engine.at("1.41");
    let context = |text: &str| Context::of(DOCKERFILE).file("a", text).bytes();
    let (whole, apart) = run(async {
        let whole = post(&client, "/build?version=2&t=whole", context("in the body")).await;
        let upload =
            post(&client, "/build?version=2&buildid=upload-request%3Ab2", context("of another request"));
        let apart = post(&client, "/build?version=2&remote=upload-request&buildid=b2", Vec::new()).await;
        assert_eq!(upload.await.expect("an answer").status(), 200);
        (whole.expect("an answer"), apart.expect("an answer"))
    });
    assert_eq!(progress(&lines(&whole)).1, "made\nin the body");
    assert_eq!(progress(&lines(&apart)).1, "made\nof another request");
    image(&lines(&apart));
    engine.forget_builds();
}

#[test]
fn failures_end_the_stream_and_refusals_come_before_it() {
    let engine = Engine::start();
    let client = engine.at("1.41");
    let failed =
        client.call("POST", "/build?version=2", TAR, &Context::of("FROM busybox\nRUN exit 7\n").bytes());
    let lines = lines(&failed.expect(200));
    let text = "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7";
    assert_eq!(lines.last().expect("an object")["errorDetail"]["message"], text);
    for (path, status, text) in [
        ("/build?version=3", 400, "version is not supported: there is no builder of version 3"),
        ("/build?version=2&outputs=x", 400, "outputs"),
        ("/build?version=2&buildid=upload-request%3Anone", 404, "no build waits for the context of none"),
        ("/build/cancel", 400, "build ID not provided"),
    ] {
        let answer = client.call("POST", path, TAR, &[]);
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
    engine.forget_builds();
}

#[test]
fn a_build_is_cancelled_by_its_name_and_by_its_client() {
    let engine = Engine::start();
    let client = engine.at("1.41");
    let containers =
        || client.get("/containers/json?all=1").expect(200).json().as_array().map_or(0, Vec::len);
    let context = || Context::of("FROM busybox\nRUN sleep 600\n").bytes();
    let running = || wait::until("a step", || (containers() == 1).then_some(()));
    let gone = || wait::until("no step", || (containers() == 0).then_some(()));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("POST", "/build?version=2&buildid=named", TAR, &context()));
        running();
        let _ = client.post("/build/cancel?id=named").expect(200);
        let answer = call.join().expect("an answer").expect(200);
        let last = lines(&answer).pop().expect("an object");
        assert_eq!(last["errorDetail"]["message"], "context canceled");
    });
    gone();
    let stream = client.open("POST", "/build?version=2", TAR, &context());
    running();
    drop(stream);
    gone();
    engine.forget_builds();
}
