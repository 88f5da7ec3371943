//! The Rust client bollard, which negotiates down to API 1.20 by itself.

use std::collections::HashMap;

use berth_tests::Engine;
use berth_tests::registry::{Content, Server, tar_of};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, CreateImageInfo, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, BuildImageOptionsBuilder, CreateImageOptionsBuilder,
    DownloadFromContainerOptionsBuilder, EventsOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    StartContainerOptions, StatsOptionsBuilder, UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

/// Seconds that a request may take.
const TIMEOUT: u64 = 30;

/// Runs a test with a client that has negotiated.
fn with_client<F: Future<Output = ()>>(engine: &Engine, test: impl FnOnce(Docker) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let socket = engine.socket().display().to_string();
    runtime.block_on(async {
        let client = Docker::connect_with_unix(&socket, TIMEOUT, API_DEFAULT_VERSION).expect("a client");
        let client = client.negotiate_version().await.expect("a version that both speak");
        assert_eq!(client.client_version().to_string(), API_DEFAULT_VERSION.to_string());
        test(client).await;
    });
}

fn shell(script: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some("busybox".to_owned()),
        cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        ..ContainerCreateBody::default()
    }
}

async fn create(client: &Docker, body: ContainerCreateBody) -> String {
    client.create_container(None, body).await.expect("a container").id
}

async fn start(client: &Docker, id: &str) {
    client.start_container(id, None::<StartContainerOptions>).await.expect("a start");
}

async fn remove(client: &Docker, id: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    client.remove_container(id, Some(options)).await.expect("a removal");
}

/// A container's exit code, which bollard gives as an error when it is not 0.
async fn wait(client: &Docker, id: &str) -> i64 {
    match client.wait_container(id, None::<WaitContainerOptions>).next().await.expect("an answer") {
        Ok(answer) => answer.status_code,
        Err(Error::DockerContainerWaitError { code, .. }) => code,
        Err(error) => panic!("wait: {error}"),
    }
}

/// What a stream brings on stdout and stderr.
async fn parted(mut stream: impl Stream<Item = Result<LogOutput, Error>> + Unpin) -> (String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    while let Some(piece) = stream.next().await {
        let piece = piece.expect("a piece");
        let target = if matches!(piece, LogOutput::StdErr { .. }) { &mut stderr } else { &mut stdout };
        target.push_str(&piece.to_string());
    }
    (stdout, stderr)
}

fn text(stdout: &str, stderr: &str) -> (String, String) {
    (stdout.to_owned(), stderr.to_owned())
}

/// An archive of one file.
fn packed(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).expect("an entry");
    archive.into_inner().expect("an archive")
}

#[test]
fn run_logs_attach() {
    let engine = Engine::start();
    with_client(&engine, |client| async move {
        let mut body = shell("echo out; echo err >&2; exit 3");
        body.host_config = Some(HostConfig { memory: Some(64 << 20), ..HostConfig::default() });
        let id = create(&client, body).await;
        start(&client, &id).await;
        assert_eq!(wait(&client, &id).await, 3);
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        assert_eq!(parted(client.logs(&id, Some(options)).boxed()).await, text("out\n", "err\n"));
        let seen =
            client.inspect_container(&id, None::<InspectContainerOptions>).await.expect("the container");
        assert_eq!(seen.host_config.and_then(|config| config.memory), Some(64 << 20));
        let listed = client.list_containers(Some(ListContainersOptionsBuilder::default().all(true).build()));
        assert_eq!(listed.await.expect("a list").len(), 1);
        remove(&client, &id).await;
        let gone = client.inspect_container(&id, None::<InspectContainerOptions>).await;
        assert!(
            matches!(gone, Err(Error::DockerResponseServerError { status_code: 404, .. })),
            "a removed container: {gone:?}"
        );

        let body = ContainerCreateBody { open_stdin: Some(true), stdin_once: Some(true), ..shell("cat") };
        let id = create(&client, body).await;
        let options = AttachContainerOptionsBuilder::default().stream(true).stdin(true).stdout(true).build();
        let attached = client.attach_container(&id, Some(options)).await.expect("a stream");
        let AttachContainerResults { output, mut input } = attached;
        start(&client, &id).await;
        input.write_all(b"through\n").await.expect("input");
        input.shutdown().await.expect("its end");
        assert_eq!(parted(output).await, text("through\n", ""));
        assert_eq!(wait(&client, &id).await, 0);
        remove(&client, &id).await;
    });
}

#[test]
fn exec_copy_build_events() {
    let engine = Engine::start();
    with_client(&engine, |client| async move {
        let id = create(&client, shell("sleep 600")).await;
        start(&client, &id).await;
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(vec!["sh", "-c", "cat; echo err >&2; exit 6"]),
            ..CreateExecOptions::default()
        };
        let exec = client.create_exec(&id, options).await.expect("an exec").id;
        let started = client.start_exec(&exec, None).await.expect("its start");
        let StartExecResults::Attached { output, mut input } = started else { panic!("not attached") };
        input.write_all(b"typed\n").await.expect("input");
        input.shutdown().await.expect("its end");
        assert_eq!(parted(output).await, text("typed\n", "err\n"));
        assert_eq!(client.inspect_exec(&exec).await.expect("the exec").exit_code, Some(6));

        let into = UploadToContainerOptionsBuilder::default().path("/tmp").build();
        let body = body_full(packed("put", b"hello").into());
        client.upload_to_container(&id, Some(into), body).await.expect("an upload");
        let from = DownloadFromContainerOptionsBuilder::default().path("/tmp/put").build();
        let archive: Vec<_> =
            client.download_from_container(&id, Some(from)).try_collect().await.expect("a download");
        let archive = archive.concat();
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut entry = archive.entries().expect("entries").next().expect("one").expect("an entry");
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).expect("its content");
        assert_eq!(content, "hello");
        remove(&client, &id).await;

        let options = BuildImageOptionsBuilder::default().t("bollard:built").build();
        let context = packed("Dockerfile", b"FROM busybox\nLABEL made=bollard\n");
        let lines = client.build_image(options, None, Some(body_full(context.into())));
        let lines: Vec<_> = lines.try_collect().await.expect("a build");
        assert!(
            lines.iter().filter_map(|line| line.stream.as_ref()).any(|line| line.contains("Successfully"))
        );
        let labels = client.inspect_image("bollard:built").await.expect("the image").config;
        let labels = labels.and_then(|config| config.labels).expect("its labels");
        assert_eq!(labels.get("made").map(String::as_str), Some("bollard"));
        let _ =
            client.remove_image("bollard:built", None::<RemoveImageOptions>, None).await.expect("a removal");

        let filters = HashMap::from([("event", vec!["die"])]);
        let mut events =
            client.events(Some(EventsOptionsBuilder::default().filters(&filters).since("1").build()));
        let id = create(&client, shell("exit 4")).await;
        start(&client, &id).await;
        loop {
            let event = events.next().await.expect("an event").expect("an event");
            let actor = event.actor.expect("an actor");
            if actor.id.as_deref() == Some(id.as_str()) {
                let code = actor.attributes.expect("attributes").remove("exitCode");
                assert_eq!((event.action.as_deref(), code.as_deref()), (Some("die"), Some("4")));
                break;
            }
        }
        drop(events);
        remove(&client, &id).await;
    });
}

#[test]
fn pull_stats_remove() {
    const NAME: &str = "127.0.0.1:5000/a:x";
    let engine = Engine::start();
    let mut content = Content::default();
    let _ = content.image("x", &[tar_of(&[("f", &vec![7; 1 << 20])])]);
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    with_client(&engine, |client| async move {
        let options = CreateImageOptionsBuilder::default().from_image("127.0.0.1:5000/a").tag("x").build();
        let said: Vec<_> =
            client.create_image(Some(options), None, None).try_collect().await.expect("a pull");
        let bar =
            |one: &CreateImageInfo| one.progress_detail.as_ref().is_some_and(|bar| bar.current.is_some());
        assert!(said.iter().any(bar), "{said:?}");
        let image = client.inspect_image(NAME).await.expect("the image");
        assert_eq!(image.repo_tags, Some(vec![NAME.to_owned()]));
        let removed = client.remove_image(NAME, None::<RemoveImageOptions>, None).await.expect("a removal");
        assert_eq!(removed[0].untagged.as_deref(), Some(NAME));
        let gone = client.inspect_image(NAME).await;
        assert!(matches!(gone, Err(Error::DockerResponseServerError { status_code: 404, .. })), "{gone:?}");

        let host = HostConfig { memory: Some(64 << 20), ..HostConfig::default() };
        let body = ContainerCreateBody { host_config: Some(host), ..shell("sleep 600") };
        let id = create(&client, body).await;
        start(&client, &id).await;
        let options = StatsOptionsBuilder::default().stream(false).build();
        let sample = client.stats(&id, Some(options)).next().await.expect("a sample").expect("a sample");
        assert_eq!(sample.memory_stats.and_then(|memory| memory.limit), Some(64 << 20));
        remove(&client, &id).await;
    });
    drop(server);
}
