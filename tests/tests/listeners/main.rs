//! Where the daemon listens: unix sockets, TCP, TLS, sockets of systemd; and how it takes and leaves its places.

mod tls;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use berth_tests::{Address, Client, Engine, Options, host, program, sh, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

fn started_with(arguments: &[&str]) -> Engine {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Engine::start_with(Options { arguments, ..Options::default() })
}

/// A further daemon in an engine's network, with directories of its own and no bridge.
fn further_daemon(engine: &Engine, arguments: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", engine.network_pid())).args(launched(engine, arguments));
    command
}

/// Its program and arguments.
fn launched(engine: &Engine, arguments: &[&str]) -> Vec<String> {
    let directory = engine.directory().join("further");
    let own = |name: &str| directory.join(name).display().to_string();
    let mut all = vec![program("berth", "BERTH_DAEMON").display().to_string(), "daemon".to_owned()];
    all.extend(["--data-root".to_owned(), own("data"), "--exec-root".to_owned(), own("exec")]);
    all.extend(["--bridge", "none", "--iptables=false"].map(str::to_owned));
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    all
}

/// Its end, which comes at once: it is refused.
fn refusal(engine: &Engine, arguments: &[&str]) -> String {
    let output = further_daemon(engine, arguments).output().expect("nsenter (util-linux)");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {text}");
    text
}

fn unix(path: &Path) -> String {
    format!("unix://{}", path.display())
}

#[test]
fn unix_sockets_are_for_their_group() {
    let engine = started_with(&["--group", "12345"]);
    let seen = fs::metadata(engine.socket()).expect("the socket");
    assert_eq!((seen.permissions().mode() & 0o7777, seen.uid(), seen.gid()), (0o660, 0, 12345));
    // Another user in the group may use it, one outside may not.
    for (group, served) in [("12345", true), ("54321", false)] {
        let output = Command::new("setpriv")
            .args([
                "--reuid",
                "65534",
                "--regid",
                group,
                "--clear-groups",
                "curl",
                "--silent",
                "--unix-socket",
            ])
            .arg(engine.socket())
            .arg("http://engine/_ping")
            .output()
            .expect("setpriv (util-linux)");
        let _ = fs::set_permissions(engine.directory(), fs::Permissions::from_mode(0o755));
        assert_eq!(String::from_utf8_lossy(&output.stdout) == "OK", served, "{group}: {output:?}");
    }
}

#[test]
fn places_of_the_living_are_refused_those_of_the_dead_are_taken() {
    let mut engine = Engine::start();
    let own = engine.directory().join("further.sock");
    let pidfile = engine.directory().join("further.pid").display().to_string();
    let text = refusal(&engine, &["--host", &unix(&engine.socket()), "--pidfile", &pidfile]);
    assert!(text.contains("a daemon is already listening at"), "{text}");
    assert!(!Path::new(&pidfile).exists(), "who is refused leaves no pid file");
    let living = engine.directory().join("berth.pid").display().to_string();
    let text = refusal(&engine, &["--host", &unix(&own), "--pidfile", &living]);
    assert!(text.contains(&format!("a daemon runs as process {}", engine.daemon_pid())), "{text}");
    let file = engine.directory().join("file");
    fs::write(&file, "kept").expect("a file");
    let text = refusal(&engine, &["--host", &unix(&file), "--pidfile", &pidfile]);
    assert!(text.contains("exists and is no socket"), "{text}");
    assert_eq!(fs::read_to_string(&file).expect("the file"), "kept");
    for bad in ["nonsense://x", "tcp://127.0.0.1:99999", "fd://", "tcp://192.0.2.1:1"] {
        let text = refusal(&engine, &["--host", bad, "--pidfile", &pidfile]);
        assert!(text.contains("ERROR"), "{bad}: {text}");
    }
    assert_eq!(engine.get("/_ping").text(), "OK", "the living one is served all the while");
    // What a killed daemon leaves is taken over.
    engine.kill_daemon();
    assert!(engine.socket().exists() && Path::new(&living).exists());
    engine.start_daemon();
    assert_eq!(engine.get("/_ping").text(), "OK");
    engine.stop_daemon();
    assert!(!engine.socket().exists() && !Path::new(&living).exists(), "a daemon that ends leaves neither");
    engine.start_daemon();
}

#[test]
fn several_places_at_once_and_a_warning_where_anyone_may_come() {
    let engine = Engine::start();
    let second = engine.directory().join("deep/er/second.sock");
    drop(engine);
    let engine = started_with(&[
        "--host",
        &unix(&second),
        "--host",
        "tcp://127.0.0.1:22379",
        "--host",
        "tcp://[::1]:22379",
    ]);
    for address in ["127.0.0.1:22379", "[::1]:22379"] {
        let address: SocketAddr = address.parse().expect("an address");
        assert_eq!(host::fetch(engine.network_pid(), address, "/_ping"), "OK");
    }
    let through_second = Client::new(Address::Unix(second.clone()));
    assert_eq!(through_second.get("/_ping").text(), "OK");
    let id = engine.create(&sh("true"));
    assert_eq!(through_second.inspect(&id)["Id"], id.as_str());
    let log = engine.log();
    assert_eq!(
        log.matches("WITHOUT TLS: EVERYONE WHO CAN REACH IT HAS ROOT ON THIS HOST").count(),
        2,
        "{log}"
    );
    let _ = fs::remove_dir_all(second.ancestors().nth(3).expect("a directory"));
}

/// The values of a setting in a unit file.
fn setting(unit: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(unit);
    let text = fs::read_to_string(path).expect("the unit");
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned);
    value.unwrap_or_else(|| panic!("{unit} has no {name}"))
}

#[test]
fn the_units_of_systemd_are_sound() {
    let engine = Engine::start();
    let directory = engine.directory().join("units");
    fs::create_dir_all(&directory).expect("a directory");
    let daemon = program("berth", "BERTH_DAEMON").display().to_string();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").arg("--man=no");
    for unit in ["berth.service", "berth.socket"] {
        let text = fs::read_to_string(packaging.join(unit)).expect("the unit");
        fs::write(directory.join(unit), text.replace("/usr/bin/berth", &daemon)).expect("a unit");
        command.arg(directory.join(unit));
    }
    let output = command.output().expect("systemd-analyze");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !text.contains("berth."), "{text}");
}

/// Starts the daemon as in `berth.socket` and `berth.service`, at this socket and TCP port.
fn activated(engine: &Engine, socket: &Path, port: &str) -> Child {
    let command_line = setting("berth.service", "ExecStart");
    let mut words = command_line.split(' ').skip_while(|word| *word != "daemon").skip(1);
    let wanted: Vec<&str> = words.by_ref().collect();
    assert_eq!(wanted, ["--host", "fd://"]);
    Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
        .arg("systemd-socket-activate")
        .arg(format!("--listen={}", socket.display()))
        .arg(format!("--listen={port}"))
        .args(launched(engine, &wanted))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-socket-activate")
}

#[test]
fn sockets_of_systemd_are_served_and_outlive_the_daemon() {
    let engine = Engine::start();
    let name = setting("berth.socket", "ListenStream");
    let socket =
        engine.directory().join(Path::new(&name).file_name().expect("a name")).with_extension("passed");
    let mut daemon = activated(&engine, &socket, "127.0.0.1:22381");
    // The first connection starts the daemon, which serves this very one. The socket is there before it listens.
    let passed = Client::new(Address::Unix(socket.clone()));
    let first = wait::until("the socket", || passed.attempt("GET", "/_ping", &[], b"").ok());
    assert_eq!(first.text(), "OK");
    assert_eq!(passed.get("/info").expect(200).json()["Containers"], 0);
    let address = "127.0.0.1:22381".parse().expect("an address");
    assert_eq!(host::fetch(engine.network_pid(), address, "/_ping"), "OK", "all that are passed are served");
    kill_process(Pid::from_child(&daemon), Signal::TERM).expect("the daemon to stop");
    let status = wait::until("the daemon's end", || daemon.try_wait().expect("its status"));
    assert!(status.success(), "{status}");
    assert!(socket.exists(), "the socket is systemd's to remove");
    let text = refusal(&engine, &["--host", "fd://"]);
    assert!(text.contains("systemd passed no socket"), "{text}");
}

#[test]
fn hang_up_reads_labels_debug_and_mirrors_again() {
    let engine = Engine::start();
    let own = |name: &str| engine.directory().join(name);
    let (file, socket, log) = (own("settings.json"), own("further.sock"), own("further.log"));
    let write = |text: &str| fs::write(&file, text).expect("the settings");
    write(r#"{"labels": ["a=1"], "registry-mirrors": ["http://one.example"]}"#);
    let arguments = ["--host", &unix(&socket), "--config-file", &file.display().to_string()];
    let mut daemon = further_daemon(&engine, &arguments)
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("nsenter (util-linux)");
    let client = Client::new(Address::Unix(socket));
    wait::until("the daemon", || client.attempt("GET", "/_ping", &[], b"").ok());
    let hang_up = |what: &str| {
        let count = || fs::read_to_string(&log).expect("the log").matches(what).count();
        let before = count();
        kill_process(Pid::from_child(&daemon), Signal::HUP).expect("the daemon");
        wait::until(what, || (count() > before).then_some(()));
    };
    let told = || {
        let info = client.get("/info").expect(200).json();
        json!([info["Labels"], info["Debug"], info["RegistryConfig"]["Mirrors"]])
    };
    assert_eq!(told(), json!([["a=1"], false, ["http://one.example"]]));
    write(r#"{"labels": ["b=2", "c=3"], "debug": true, "registry-mirrors": ["http://two.example"]}"#);
    hang_up("settings are read again");
    let second = json!([["b=2", "c=3"], true, ["http://two.example"]]);
    assert_eq!(told(), second);
    assert!(fs::read_to_string(&log).expect("the log").contains("DEBUG GET"), "debug is on");
    for bad in
        ["{", r#"{"labels": ["no value"]}"#, r#"{"registry-mirrors": ["ftp://x"]}"#, r#"{"nosuch": 1}"#]
    {
        write(bad);
        hang_up("the settings stay as they were");
        assert_eq!(told(), second, "after {bad}");
    }
    kill_process(Pid::from_child(&daemon), Signal::TERM).expect("the daemon to stop");
    assert!(wait::until("its end", || daemon.try_wait().expect("its status")).success());
}

#[test]
fn a_daemon_that_stops_lets_go_of_its_clients_at_once() {
    let mut engine = Engine::start();
    let id = engine.run(&berth_tests::merged(sh("cat"), json!({ "OpenStdin": true })));
    let mut attached = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    let following: Vec<_> = ["/events", "/containers/{id}/logs?stdout=1&follow=1", "/containers/{id}/stats"]
        .map(|path| engine.open("GET", &path.replace("{id}", &id), &[], b"").1)
        .into();
    let handshake = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "http://localhost"),
    ];
    let path = format!("/containers/{id}/attach/ws?stream=1&stdin=1&stdout=1");
    let (head, mut websocket) = engine.open("GET", &path, &handshake, b"");
    assert_eq!(head.status, 101);
    let mut waiting = engine.connect();
    waiting.request("POST", &format!("/containers/{id}/wait"), &[], b"").expect("a request");
    let idle = engine.connect();
    engine.stop_daemon();
    assert!(!engine.log().contains("some requests were still being answered"), "{}", engine.log());
    for mut stream in following {
        let _ = stream.read_to_end().expect("the end of a stream");
    }
    // RFC 6455, section 7.4.1: 1001, going away.
    assert_eq!(websocket.read_to_end().expect("the end of the websocket"), [0x88, 2, 0x03, 0xe9]);
    drop((waiting, idle));
    // Attached clients are not affected.
    attached.send(b"still here\n").expect("input");
    let seen = berth_tests::frames::read_until(&mut attached, 1, b"still here\n").expect("the echo");
    assert_eq!(seen, b"still here\n");
    engine.start_daemon();
    assert_eq!(engine.state(&id, "Running"), true);
}
