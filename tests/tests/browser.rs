//! A page in a real browser: the API from another origin, and attaching by websocket both ways.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use berth_tests::{Engine, Options, host, wait};

const ENGINE: &str = "127.0.0.1:22377";
const PAGE: &str = "127.0.0.1:28080";

/// How long the browser may take for everything; one that hangs must end.
const LIMIT: Duration = Duration::from_secs(300);

/// Serves the page to all, and passes on its reports.
fn serve(listener: TcpListener) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let sender = sender.clone();
            // A browser opens connections ahead, so that one must not hold up the next.
            thread::spawn(move || answer(client, &sender));
        }
    });
    receiver
}

fn answer(client: TcpStream, reports: &Sender<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let request = line.clone();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if request.starts_with("POST /report") {
        let _ = reports.send(String::from_utf8_lossy(&body).into_owned());
    }
    let page = include_str!("../clients/page.html");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    reader.get_mut().write_all(head.as_bytes())?;
    reader.get_mut().write_all(page.as_bytes())
}

/// Starts the browser in the engine's network.
fn browse(engine: &Engine, profile: &Path, address: &str) -> Child {
    let log = fs::File::create(engine.directory().join("chromium.log")).expect("the browser's log");
    Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
        .arg("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--disable-breakpad"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(address)
        .env("HOME", profile)
        .env("TMPDIR", profile)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the browser's log"))
        .stderr(log)
        .spawn()
        .expect("nsenter (util-linux)")
}

#[test]
fn a_page_of_another_origin_uses_the_api_and_attaches() {
    let arguments = ["--host", &format!("tcp://{ENGINE}"), "--api-cors-header", &format!("http://{PAGE}")]
        .map(str::to_owned);
    let engine = Engine::start_with(Options { arguments: arguments.to_vec(), ..Options::default() });
    let reports = serve(host::listen(engine.network_pid(), PAGE.parse().expect("an address")));
    let profile = engine.directory().join("chromium");
    fs::create_dir_all(&profile).expect("the browser's directory");
    let mut browser = browse(&engine, &profile, &format!("http://{PAGE}/?engine={ENGINE}"));
    let report = reports.recv_timeout(LIMIT);
    let pid = rustix::process::Pid::from_child(&browser);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    let _ = browser.wait();
    wait::until("the end of the browser", || host::processes_of(&profile).is_empty().then_some(()));
    let log = fs::read_to_string(engine.directory().join("chromium.log")).unwrap_or_default();
    assert_eq!(report.as_deref(), Ok("well"), "the browser's log:\n{log}");
}
