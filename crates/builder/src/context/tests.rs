//! Contexts from the body, from addresses and from repositories, hostile ones among them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::fixture::{Archive, Fixture, Temporary, context};
use crate::{BuildError, BuildRequest, ContextSource};

fn error_of(fixture: &Fixture, body: Vec<u8>) -> String {
    let built = fixture.build_bytes(body, |_| {});
    assert_eq!(built.text, "");
    built.result.unwrap_err().to_string()
}

/// The files below `/c` after `COPY . /c`.
fn copied(fixture: &Fixture, archive: Archive) -> Vec<String> {
    let image = fixture.image(archive);
    let lines = fixture.top_layer(&image).into_iter();
    lines.map(|line| line.strip_prefix("c/").unwrap_or(&line).to_owned()).skip(1).collect()
}

const COPY_ALL: &str = "FROM base\nCOPY . /c";

#[test]
fn bodies_that_are_no_context_say_why() {
    let fixture = Fixture::new();
    let good = context("FROM base").file("f", vec![b'x'; 100_000]).bytes();
    for (body, want) in [
        (Vec::new(), "the build context is empty"),
        (b"not a tar".repeat(200), "the build context is no tar archive: "),
        (b"short".to_vec(), "the build context "),
        (good[..50_000].to_vec(), "the build context ends before its end: unexpected EOF"),
        ([b"\x1f\x8b".as_slice(), &b"junk".repeat(100)].concat(), "the build context "),
        (vec![0; 1024], "Cannot locate specified Dockerfile: Dockerfile"),
        (Archive::new().file("other", "x").bytes(), "Cannot locate specified Dockerfile: Dockerfile"),
        (Archive::new().directory("Dockerfile/").bytes(), "Cannot locate specified Dockerfile: Dockerfile"),
    ] {
        let text = error_of(&fixture, body);
        assert!(text.starts_with(want), "{text}");
    }
    let body = context("FROM base").bytes();
    let unended = body[..1024].to_vec();
    assert!(fixture.build_bytes(unended, |_| {}).result.is_ok());
}

#[test]
fn names_stay_in_the_context() {
    let fixture = Fixture::new();
    let archive = Archive::new()
        .directory("./")
        .file("./Dockerfile", COPY_ALL)
        .file("../up", "u")
        .file("/abs", "a")
        .file("a/../../b", "b")
        .file("implied/deep/f", "f");
    let want = [
        "Dockerfile 644 0:0 19 2015",
        "abs 644 0:0 1 2015",
        "b 644 0:0 1 2015",
        "implied/ 755 0:0",
        "implied/deep/ 755 0:0",
        "implied/deep/f 644 0:0 1 2015",
        "up 644 0:0 1 2015",
    ];
    assert_eq!(copied(&fixture, archive), want);
    for (archive, want) in [
        (context("FROM base").symlink("l", "/tmp").file("l/evil", "x"), "l is no directory"),
        (context("FROM base").file("f", "x").file("f/x", "x"), "f is no directory"),
        (
            context("FROM base").hard_link("h", "../../etc/passwd"),
            "the link's target etc/passwd is not in it",
        ),
        (
            context("FROM base").symlink("s", "/etc/passwd").hard_link("h", "s"),
            "the link's target s is not in it",
        ),
    ] {
        let text = error_of(&fixture, archive.bytes());
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn later_entries_replace_earlier_ones() {
    let fixture = Fixture::new();
    let archive = context(COPY_ALL)
        .file("a", "1")
        .file("a", "22")
        .directory("d/")
        .file("d/x", "1")
        .file("d", "file")
        .symlink("s", "a")
        .directory("s/")
        .file("s/y", "y")
        .file("h", "h")
        .hard_link("h2", "h");
    let want = [
        "Dockerfile 644 0:0 19 2015",
        "a 644 0:0 2 2015",
        "d 644 0:0 4 2015",
        "h 644 0:0 1 2015",
        "h2 644 0:0 1 2015",
        "s/ 755 0:0 2015",
        "s/y 644 0:0 1 2015",
    ];
    assert_eq!(copied(&fixture, archive), want);
}

#[test]
fn large_and_attributed_files_come_through() {
    let fixture = Fixture::new();
    let large = vec![7_u8; 3 << 20];
    let mut builder = tar::Builder::new(Vec::new());
    let dockerfile = "FROM base\nCOPY f /f";
    let mut add = |name: &str, data: &[u8], attribute: Option<&[u8]>| {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(5);
        if let Some(value) = attribute {
            let extensions = [("SCHILY.xattr.user.berth", value), ("mtime", b"-1.25".as_slice())];
            builder.append_pax_extensions(extensions).unwrap();
        }
        builder.append_data(&mut header, name, data).unwrap();
    };
    add("Dockerfile", dockerfile.as_bytes(), None);
    add("f", &large, Some(b"value"));
    let built = fixture.build_bytes(builder.into_inner().unwrap(), |_| {});
    let image = fixture.store.image(&built.result.unwrap()).unwrap();
    let file = fixture.store.lower_directories(&image)[0].join("f");
    assert_eq!(std::fs::read(&file).unwrap(), large);
    let node = crate::tree::Node::read(&file).unwrap();
    let time = node.metadata.modified.unwrap();
    assert_eq!((time.seconds, time.nanoseconds, node.metadata.mode), (-2, 750_000_000, 0o755));
    let attributes = crate::tree::read_attributes(&file).unwrap();
    assert_eq!(attributes, [(b"user.berth".to_vec(), b"value".to_vec())]);
}

#[test]
fn dockerfiles_are_found() {
    let fixture = Fixture::new();
    let archive = || {
        context("FROM base\nLABEL at=main")
            .file("other", "FROM base\nLABEL at=other")
            .directory("sub/")
            .file("sub/D", "FROM base\nLABEL at=sub")
            .symlink("ln", "other")
            .symlink("lnabs", "/other")
    };
    for (name, want) in [
        ("", Ok("main")),
        ("other", Ok("other")),
        ("sub/D", Ok("sub")),
        ("./sub/D", Ok("sub")),
        ("/other", Ok("other")),
        ("sub/../other", Ok("other")),
        ("ln", Ok("other")),
        ("nope", Err("Cannot locate specified Dockerfile: nope")),
        ("lnabs", Err("Cannot locate specified Dockerfile: lnabs")),
        ("sub", Err("Cannot locate specified Dockerfile: sub")),
        (" ", Err("Cannot locate specified Dockerfile:  ")),
        ("/etc/passwd", Err("Cannot locate specified Dockerfile: /etc/passwd")),
        ("../x", Err("The Dockerfile (../x) must be within the build context")),
        ("sub/../../x", Err("The Dockerfile (sub/../../x) must be within the build context")),
    ] {
        let built = fixture.build_with(archive(), |request| request.dockerfile = Some(name.to_owned()));
        let label = built
            .result
            .map_err(|error| error.to_string())
            .map(|id| fixture.store.image(&id).unwrap().config.config.unwrap().labels.unwrap()["at"].clone());
        assert_eq!(label.as_deref().map_err(String::as_str), want, "{name}");
    }
    assert!(fixture.build(Archive::new().file("dockerfile", "FROM base")).result.is_ok());
    let linked = Archive::new().file("x", "FROM base").symlink("Dockerfile", "x");
    assert!(fixture.build(linked).result.is_ok());
}

#[test]
fn the_clients_ignore_file_hides_only_what_it_had_to_send() {
    let fixture = Fixture::new();
    let names = |archive: Archive| -> Vec<String> {
        copied(&fixture, archive).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let archive = |ignore: &str| context(COPY_ALL).file(".dockerignore", ignore).file("a.log", "1");
    assert_eq!(names(archive("*.log\n")), [".dockerignore", "Dockerfile", "a.log"]);
    assert_eq!(names(archive("Dockerfile\n.dockerignore\n")), ["a.log"]);
    assert_eq!(names(archive("[\n")), [".dockerignore", "Dockerfile", "a.log"]);
}

/// An HTTP server of a few pages that lives as long as its test.
struct Server {
    address: String,
    stop: std::sync::Arc<AtomicBool>,
}

type Page = (&'static str, Vec<u8>);

impl Server {
    fn start(pages: HashMap<&'static str, Page>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let pages = pages.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &pages));
            }
        });
        Self { address, stop }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.address.trim_start_matches("http://"));
    }
}

fn answer(mut stream: std::net::TcpStream, pages: &HashMap<&'static str, Page>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| !line.unwrap_or_default().is_empty()) {}
    let path = first.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    if path == "/stall" {
        std::thread::sleep(Duration::from_secs(60));
    }
    let head = |status: &str, kind: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nConnection: close\r\n"
        )
    };
    let answer = match pages.get(path.as_str()) {
        _ if path == "/redirect" => {
            format!("{}Location: /text\r\n\r\n", head("302 Found", "text/plain", 0)).into_bytes()
        }
        _ if path == "/cut" => format!("{}\r\nhalf", head("200 OK", "text/plain", 100)).into_bytes(),
        Some((kind, data)) => [format!("{}\r\n", head("200 OK", kind, data.len())).as_bytes(), data].concat(),
        None => format!("{}\r\n", head("404 Not Found", "text/plain", 0)).into_bytes(),
    };
    let _ = stream.write_all(&answer);
}

fn remote(fixture: &Fixture, address: &str, change: impl FnOnce(&mut BuildRequest)) -> crate::fixture::Built {
    let address = address.to_owned();
    fixture.build_bytes(Vec::new(), |request| {
        request.context = ContextSource::Remote(address);
        change(request);
    })
}

fn remote_server() -> Server {
    let packed = || {
        context("FROM base\nCOPY . /c")
            .file("f.md", "1")
            .file(".dockerignore", "*.md\n.dockerignore\n")
            .directory("sub/")
            .file("sub/D", "FROM base\nLABEL at=sub")
            .bytes()
    };
    Server::start(HashMap::from([
        ("/text", ("text/plain; charset=utf-8", b"FROM base\nLABEL at=text\n".to_vec())),
        ("/binary", ("application/octet-stream", b"FROM base\nLABEL at=binary\n".to_vec())),
        ("/context.tar", ("application/x-tar", packed())),
        ("/context", ("application/octet-stream", packed())),
        ("/page", ("text/html", b"<html>".to_vec())),
        ("/nul", ("application/octet-stream", b"a\0b".to_vec())),
        ("/bad", ("application/x-tar", context("FROM base").file(".dockerignore", "[").bytes())),
    ]))
}

#[test]
fn remote_contexts_by_address() {
    let fixture = Fixture::new();
    let server = remote_server();
    for path in ["/text", "/binary", "/redirect"] {
        let built =
            remote(&fixture, &server.url(path), |request| request.dockerfile = Some("zzz".to_owned()));
        built.result.unwrap();
        assert!(built.text.starts_with("Step 0 : FROM base\n-> Step 1 : LABEL at "), "{}", built.text);
    }
    for path in ["/context.tar", "/context"] {
        let url = server.url(path);
        let built = remote(&fixture, &url, |_| {});
        assert!(built.text.starts_with(&format!("STATUS {url} ")), "{}", built.text);
        let image = fixture.store.image(&built.result.unwrap()).unwrap();
        let names = fixture.top_layer(&image);
        let names: Vec<_> = names.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["c/", "c/Dockerfile", "c/sub/", "c/sub/D"]);
    }
    let sub = remote(&fixture, &server.url("/context.tar"), |request| {
        request.dockerfile = Some("sub/D".to_owned())
    });
    assert!(sub.text.contains("LABEL at sub"), "{}", sub.text);
    let address = |path: &str| server.url(path);
    for (remote_address, want) in [
        (
            address("/nope"),
            format!(
                "Error downloading remote context {}: Got HTTP status code >= 400: 404 Not Found",
                address("/nope")
            ),
        ),
        (
            address("/page"),
            format!(
                "Error detecting content type for remote {}: unsupported Content-Type \"text/html\"",
                address("/page")
            ),
        ),
        (address("/nul"), format!("Error detecting content type for remote {}", address("/nul"))),
        (
            address("/cut"),
            format!("Error downloading remote context {}: cannot get the rest", address("/cut")),
        ),
        (address("/bad"), "cannot read .dockerignore: syntax error in pattern \"[\"".to_owned()),
        (
            "http://127.0.0.1:1/x".to_owned(),
            "Error downloading remote context http://127.0.0.1:1/x: cannot get".to_owned(),
        ),
        ("http://".to_owned(), "Error downloading remote context http://: ".to_owned()),
        (
            "foo".to_owned(),
            "remote \"foo\" is neither a git repository nor an http or https address".to_owned(),
        ),
        ("/etc/passwd".to_owned(), "remote \"/etc/passwd\" is neither".to_owned()),
        ("file:///etc/passwd".to_owned(), "remote \"file:///etc/passwd\" is neither".to_owned()),
        ("ftp://127.0.0.1/x".to_owned(), "remote \"ftp://127.0.0.1/x\" is neither".to_owned()),
    ] {
        let text = remote(&fixture, &remote_address, |_| {}).result.unwrap_err().to_string();
        assert!(text.starts_with(&want), "{text}");
    }
}

#[test]
fn a_stalled_server_does_not_hold_a_cancelled_build() {
    let fixture = Fixture::new();
    let server = remote_server();
    let started = Instant::now();
    let built = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            fixture.cancellation.cancel();
        });
        remote(&fixture, &server.url("/stall"), |_| {})
    });
    assert!(matches!(built.result, Err(BuildError::Cancelled)), "{:?}", built.result);
    assert!(started.elapsed() < Duration::from_secs(30), "waited for the server");
}

#[test]
fn add_downloads_and_asks_the_cache_by_what_came() {
    let fixture = Fixture::new();
    let server = remote_server();
    let text = server.url("/text");
    let step = |rest: &str| fixture.build(context(&format!("FROM base\nADD {rest}")));
    let first = step(&format!("{text} /h"));
    assert!(
        first.text.ends_with(&format!("Step 1 : ADD {text} /h\nSTATUS Downloading \n-> RM OK")),
        "{}",
        first.text
    );
    let image = fixture.store.image(&first.result.unwrap()).unwrap();
    let lines = fixture.top_layer(&image);
    assert!(lines[0].starts_with("h 600 0:0 ") && lines.len() == 1, "{lines:?}");
    let file = fixture.store.lower_directories(&image)[0].join("h");
    let modified = crate::tree::Node::read(&file).unwrap().metadata.modified.unwrap();
    assert_eq!(modified.seconds, 1_420_070_400);
    assert!(step(&format!("{text}?a=b /h")).text.contains("Using cache"));
    let unpacked = step(&format!("{} /d/", server.url("/context.tar")));
    let image = fixture.store.image(&unpacked.result.unwrap()).unwrap();
    assert!(fixture.top_layer(&image)[1].starts_with("d/context.tar 600 0:0 "));
    for (rest, want) in [
        (format!("{} /h", server.url("/nope")), "Got HTTP status code >= 400: 404 Not Found".to_owned()),
        (
            format!("{}/ /d/", server.url("/text").replace("/text", "")),
            "Got HTTP status code >= 400: 404 Not Found".to_owned(),
        ),
        ("ftp://127.0.0.1/x /h".to_owned(), "ftp://127.0.0.1/x: no such file or directory".to_owned()),
    ] {
        assert_eq!(step(&rest).result.unwrap_err().to_string(), want);
    }
}

fn git(directory: &Path, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    command.args(["-c", "init.defaultBranch=master"]).args(words).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A `git daemon` that serves a directory.
struct GitDaemon {
    child: Child,
    port: u16,
}

impl GitDaemon {
    fn start(base: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let program = String::from_utf8(program).unwrap();
        let child = Command::new(Path::new(program.trim()).join("git-daemon"))
            .args(["--reuseaddr", "--export-all", "--listen=127.0.0.1", "--log-destination=none"])
            .args([format!("--port={port}"), format!("--base-path={}", base.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "git daemon does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }

    fn url(&self, rest: &str) -> String {
        format!("git://127.0.0.1:{}/{rest}", self.port)
    }
}

impl Drop for GitDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes two repositories, one of them the other's submodule, and gives a commit's name.
fn make_repositories(base: &Path, submodule_url: &str) -> String {
    for name in ["module", "main"] {
        std::fs::create_dir(base.join(name)).unwrap();
        git(&base.join(name), &["init", "-q"]);
    }
    let module = base.join("module");
    std::fs::write(module.join("m"), "module\n").unwrap();
    git(&module, &["add", "m"]);
    git(&module, &["commit", "-q", "-m", "x"]);
    let main = base.join("main");
    std::fs::write(main.join("Dockerfile"), "FROM base\nCOPY . /c\n").unwrap();
    std::fs::create_dir(main.join("sub")).unwrap();
    std::fs::write(main.join("sub/Dockerfile"), "FROM base\nLABEL at=sub\n").unwrap();
    std::fs::write(main.join("skip.md"), "x").unwrap();
    std::fs::write(main.join(".dockerignore"), "*.md\n").unwrap();
    std::os::unix::fs::symlink("/etc", main.join("out")).unwrap();
    git(&main, &["add", "."]);
    git(&main, &["commit", "-q", "-m", "one"]);
    git(&main, &["tag", "v1"]);
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(&main).output().unwrap();
    git(&main, &["submodule", "--quiet", "add", "../module", "module"]);
    std::fs::write(
        main.join(".gitmodules"),
        format!("[submodule \"module\"]\n\tpath = module\n\turl = {submodule_url}\n"),
    )
    .unwrap();
    git(&main, &["commit", "-q", "-a", "-m", "two"]);
    git(&main, &["branch", "feature/x"]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn repositories_are_contexts() {
    let fixture = Fixture::new();
    let base = Temporary::new();
    let daemon = GitDaemon::start(base.path());
    let commit = make_repositories(base.path(), &daemon.url("module"));
    let names = |remote_address: &str| -> Result<Vec<String>, String> {
        let built = remote(&fixture, remote_address, |_| {});
        let image = fixture.store.image(&built.result.map_err(|error| error.to_string())?).unwrap();
        let lines = fixture.top_layer(&image);
        Ok(lines.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect())
    };
    let plain = ["c/ 755 0:0", "c/.dockerignore 644 0:0", "c/Dockerfile 644 0:0"];
    let one = [plain.as_slice(), &["c/out 777 0:0", "c/sub/ 755 0:0", "c/sub/Dockerfile 644 0:0"]].concat();
    let two = [
        &plain[..2],
        &["c/.gitmodules 644 0:0", "c/Dockerfile 644 0:0", "c/module/ 755 0:0", "c/module/m 644 0:0"],
        &one[3..],
    ]
    .concat();
    assert_eq!(names(&daemon.url("main")).unwrap(), two);
    assert_eq!(names(&daemon.url("main#feature/x")).unwrap(), two);
    assert_eq!(names(&daemon.url("main#v1")).unwrap(), one);
    assert_eq!(names(&daemon.url(&format!("main#{commit}"))).unwrap(), one);
    let sub = remote(&fixture, &daemon.url("main#:sub"), |_| {});
    assert!(sub.text.contains("LABEL at sub"), "{}", sub.text);
    for (rest, want) in [
        ("main#:nosuch", "Error trying to use git: the repository has no directory \"nosuch\""),
        ("main#:out", "Error trying to use git: the repository has no directory \"out\""),
        ("main#:../module", "Error trying to use git: the repository has no directory \"../module\""),
        ("main#nosuch", "Error trying to use git: exit status: 128 ("),
        ("nosuch", "Error trying to use git: exit status: 128 ("),
        ("main#--upload-pack=touch", "Error trying to use git: invalid reference"),
    ] {
        let text = names(&daemon.url(rest)).unwrap_err();
        assert!(text.starts_with(want), "{rest}: {text}");
    }
}

#[test]
fn submodules_of_this_machine_are_refused() {
    let fixture = Fixture::new();
    let base = Temporary::new();
    let daemon = GitDaemon::start(base.path());
    make_repositories(base.path(), base.join("module").to_str().unwrap());
    let text = remote(&fixture, &daemon.url("main"), |_| {}).result.unwrap_err().to_string();
    assert!(text.contains("transport 'file' not allowed"), "{text}");
}

#[test]
fn nothing_of_a_build_stays_in_its_directory() {
    let fixture = Fixture::new();
    assert!(fixture.build(context("FROM base\nCOPY . /c\nRUN exit 1")).result.is_err());
    let builds = fixture.temporary.join("builds");
    let start = Instant::now();
    // The directory goes in the background.
    while std::fs::read_dir(&builds).unwrap().next().is_some() {
        assert!(start.elapsed() < Duration::from_secs(20), "something stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::create_dir_all(builds.join("left/over")).unwrap();
    drop(crate::Builder::new(fixture.store.clone(), &builds, "1").unwrap());
    assert!(std::fs::read_dir(&builds).unwrap().next().is_none());
}

#[test]
fn a_client_that_leaves_while_it_sends_ends_the_build() {
    let fixture = Fixture::new();
    let events = Mutex::new(Vec::new());
    let sink = |event| events.lock().unwrap().push(event);
    let session = crate::Session {
        runner: &fixture.runner,
        puller: &fixture.puller,
        events: &sink,
        cancellation: &fixture.cancellation,
    };
    fixture.cancellation.cancel();
    let body = context("FROM base").bytes();
    let request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(body))));
    assert!(matches!(fixture.builder.build(request, &session), Err(BuildError::Cancelled)));
    assert!(events.lock().unwrap().is_empty());
}
