//! Contexts that lie elsewhere, as current clients request them.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_tests::registry::{Reply, Server, gzip};
use berth_tests::services::git;
use berth_tests::{Context, Engine};
use buildkit_messages::file_operation::{CopyFiles, FileAction, Files};
use buildkit_messages::gateway::{
    FrontendSolveRequest, FrontendSolveResponse, ReadFileRequest, ReadFileResponse, StatFileRequest,
    StatFileResponse,
};
use buildkit_messages::operations::{Operation, Source};

use crate::client::{Control, Order, run};
use crate::graphs::graph_of;
use crate::offers::Offers;
use crate::session::Session;

/// Serves the files beneath a directory to authenticated clients.
fn private(engine: &Engine, root: PathBuf, authorization: &str) -> Server {
    let wanted = authorization.to_owned();
    Server::start(engine, "127.0.0.1:0", move |asked| {
        if asked.header("authorization") != Some(&wanted) {
            return Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\"");
        }
        let path = root.join(asked.path.trim_start_matches('/'));
        match fs::read(path) {
            Ok(content) => Reply::new(200).with("Content-Type", "text/plain").body(content),
            Err(_) => Reply::new(404),
        }
    })
}

#[test]
fn secrets_open_private_repositories() {
    let engine = Engine::start();
    let (work, served) = (engine.directory().join("work"), engine.directory().join("served"));
    fs::create_dir_all(&work).expect("a directory");
    fs::create_dir_all(&served).expect("a directory");
    let _ = git(&work, &["init", "-q"]);
    fs::write(work.join("Dockerfile"), "FROM busybox\nCOPY text /text\n").expect("a file");
    fs::write(work.join("text"), "private\n").expect("a file");
    let _ = git(&work, &["add", "."]);
    let _ = git(&work, &["commit", "-q", "-m", "x"]);
    let bare = served.join("main.git");
    let _ = git(&work, &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
    let _ = git(&bare, &["update-server-info"]);
    let basic = format!("basic {}", STANDARD.encode("x-access-token:a token"));
    for (header, secret) in
        [(basic.as_str(), ("GIT_AUTH_TOKEN", "a token\n")), ("Bearer y", ("GIT_AUTH_HEADER", "Bearer y"))]
    {
        let server = private(&engine, served.clone(), header);
        let host = server.address.to_string();
        let address = format!("http://{host}/main.git");
        let build = |dockerfile: &str, context: &str, secrets: &[(&str, &str)]| {
            let mut offers = Offers::of(dockerfile, &[]);
            offers.secrets =
                secrets.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
            run(Order::of(offers, "private").option("context", context).run(engine.socket()))
        };
        let refused = build("", &address, &[]);
        assert!(refused.failure().1.contains("Error trying to use git"), "{:?}", refused.failure());
        let other = [(format!("{}.elsewhere", secret.0), secret.1)];
        let refused = build("", &address, &[(other[0].0.as_str(), other[0].1)]);
        assert!(refused.result.is_err(), "a secret for another host is not told");
        let named = format!("{}.{host}", secret.0);
        for name in [secret.0, named.as_str()] {
            let built = build("", &address, &[(name, secret.1)]);
            assert!(built.result.is_ok(), "{name}: {:?}", built.result);
            assert_eq!(engine.output_of("private", "cat /text"), "private\n", "{name}");
        }
        let added = format!("FROM busybox\nADD {address} /main\n");
        let built = build(&added, "", &[secret]);
        assert!(built.result.is_ok(), "{:?}", built.result);
        assert_eq!(engine.output_of("private", "cat /main/text"), "private\n");
    }
    engine.forget_builds();
}

#[test]
fn a_repository_that_is_kept_has_no_password() {
    let engine = Engine::start();
    let (work, served) = (engine.directory().join("work"), engine.directory().join("served"));
    fs::create_dir_all(&work).expect("a directory");
    fs::create_dir_all(&served).expect("a directory");
    let _ = git(&work, &["init", "-q"]);
    fs::write(work.join("text"), "private\n").expect("a file");
    let _ = git(&work, &["add", "."]);
    let _ = git(&work, &["commit", "-q", "-m", "x"]);
    let clone = |name: &str| {
        let bare = served.join(name);
        let _ = git(&work, &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
        let _ = git(&bare, &["update-server-info"]);
    };
    clone("part.git");
    // A part whose address is relative gets that of the whole.
    let commit = git(&work, &["rev-parse", "HEAD"]);
    let part = format!("160000,{},part", commit.trim());
    fs::write(work.join(".gitmodules"), "[submodule \"part\"]\n\tpath = part\n\turl = ../part.git\n")
        .expect("a file");
    let _ = git(&work, &["add", ".gitmodules"]);
    let _ = git(&work, &["update-index", "--add", "--cacheinfo", &part]);
    let _ = git(&work, &["commit", "-q", "-m", "y"]);
    clone("main.git");
    let server = private(&engine, served, &format!("Basic {}", STANDARD.encode("me:ses=am")));
    let address = format!("http://me:ses=am@{}/main.git", server.address);
    let dockerfile = format!("FROM busybox\nADD --keep-git-dir=true {address} /main\n");
    let built = run(Order::of(Offers::of(&dockerfile, &[]), "kept").run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("kept", "cat /main/part/text"), "private\n");
    let config = engine.output_of("kept", "cat /main/.git/config /main/.git/modules/part/config");
    assert!(config.contains(&format!("http://{}/main.git", server.address)), "{config}");
    assert!(config.contains(&format!("http://{}/part.git", server.address)), "{config}");
    assert_eq!(engine.output_of("kept", "grep -rl ses= /main || true"), "");
    engine.forget_builds();
}

#[test]
fn a_client_looks_into_an_archive_at_an_address() {
    let engine = Engine::start();
    let archive = Context::of("FROM busybox\nCOPY a /a\n").file("a", b"of the archive").bytes();
    let archive = gzip(&archive);
    let server = Server::start(&engine, "127.0.0.1:0", move |_| {
        Reply::new(200).with("Content-Type", "application/gzip").body(archive.clone())
    });
    let address = format!("http://{}/context.tar.gz", server.address);
    let mut download = Source { identifier: address.clone(), ..Source::default() };
    download.attributes.insert("http.filename".to_owned(), "context".to_owned());
    let copy = CopyFiles {
        source: "/context".to_owned(),
        destination: "/".to_owned(),
        mode: -1,
        time: -1,
        unpacks: true,
        ..CopyFiles::default()
    };
    let action = FileAction { input: -1, second_input: 0, copy: Some(copy), ..FileAction::default() };
    let definition = graph_of(vec![
        (Operation { source: Some(download), ..Operation::default() }, vec![]),
        (Operation { file: Some(Files { actions: vec![action] }), ..Operation::default() }, vec![0]),
    ]);
    run(async {
        let socket = engine.socket();
        let order = Order::of(Offers::of("", &[]), "x");
        let _session = Session::open(&socket, "looking", order.offers).await;
        let (solving, driving) = (Control::open(&socket).await, Control::open(&socket).await);
        let mut request = order.request;
        request.frontend = String::new();
        (request.reference, request.session) = ("looking".to_owned(), "looking".to_owned());
        let look = async {
            let call =
                FrontendSolveRequest { definition: Some(definition), ..FrontendSolveRequest::default() };
            let answer: FrontendSolveResponse =
                driving.gateway("looking", "Solve", &call).await.expect("a result");
            let reference = answer.result.and_then(|result| result.reference).expect("a reference").id;
            let stat = |path: &str| StatFileRequest { reference: reference.clone(), path: path.to_owned() };
            let missing = stat("Dockerfile.rego");
            let missing = driving.gateway::<StatFileResponse>("looking", "StatFile", &missing).await;
            let (code, message) = missing.expect_err("no file");
            assert_eq!((code, message.as_str()), (5, "open Dockerfile.rego: no such file or directory"));
            let found: StatFileResponse =
                driving.gateway("looking", "StatFile", &stat("/a")).await.expect("a file");
            let found = found.stat.expect("a description");
            assert_eq!((found.path.as_slice(), found.size, found.mode), (&b"a"[..], 14, 0o644));
            let read = ReadFileRequest { reference, path: "a".to_owned(), range: None };
            let read: ReadFileResponse =
                driving.gateway("looking", "ReadFile", &read).await.expect("a content");
            assert_eq!(read.data, b"of the archive");
        };
        tokio::select! {
            () = look => {}
            ended = solving.solve(&request) => panic!("the build ended: {ended:?}"),
        }
    });
    let built =
        run(Order::of(Offers::of("", &[]), "fetched").option("context", &address).run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("fetched", "cat /a"), "of the archive");
    let own = Offers::of("FROM busybox\nCOPY a /own\n", &[]);
    let order = Order::of(own, "own").option("context", &address).option("dockerfilekey", "dockerfile");
    let built = run(order.run(engine.socket()));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("own", "cat /own"), "of the archive", "the Dockerfile is the client's");
    engine.forget_builds();
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let engine = Engine::start();
    let server = Server::start(&engine, "127.0.0.1:0", |asked| {
        let tag = "\"one\"";
        if asked.header("if-none-match") == Some(tag) {
            return Reply::new(304).with("ETag", tag);
        }
        let reply = Reply::new(200).with("ETag", tag).with("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT");
        reply.body("content")
    });
    let address = format!("http://{}/file", server.address);
    let build = |before: &str| {
        let dockerfile = format!("FROM busybox\n{before}ADD {address} /file\n");
        let built = run(Order::of(Offers::of(&dockerfile, &[]), "added").run(engine.socket()));
        assert!(built.result.is_ok(), "{:?}", built.result);
        assert_eq!(engine.output_of("added", "cat /file; stat -c %Y /file"), "content1420070400\n");
        let (conditional, whole): (Vec<_>, Vec<_>) =
            server.asked().into_iter().partition(|asked| asked.header("if-none-match").is_some());
        (conditional.len(), whole.len())
    };
    assert_eq!(build(""), (0, 1));
    assert_eq!(build(""), (1, 1), "nothing is sent for a layer that is there");
    assert_eq!(build("RUN touch /other\n"), (2, 2), "a layer that is not is made of what is sent");
    engine.forget_builds();
}
