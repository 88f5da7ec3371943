//! TLS: the accepted clients, streams in both directions, and the remains of clients that vanish.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use berth_tests::host::{descriptors_of, in_network_of, sockets_of};
use berth_tests::{Engine, merged, sh, wait};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::{refusal, started_with};

/// A certificate authority and what it signs, as files.
struct Authority {
    directory: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).expect("a directory");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        fs::write(directory.join("ca.pem"), issuer.pem()).expect("a file");
        Self { directory, issuer }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Signs a certificate; gives its file, beside which its key ends in `.key`.
    fn sign(&self, name: &str, last_year: i32) -> String {
        let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(name), certificate.pem()).expect("a file");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("a file");
        self.path(name)
    }
}

/// What curl gets over TLS, in the engine's network.
fn curl(engine: &Engine, address: &str, authority: &Authority, certificate: Option<&str>) -> Output {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
        .args(["curl", "--silent", "--show-error", "--cacert", &authority.path("ca.pem")])
        .arg(format!("https://{address}/_ping"));
    if let Some(certificate) = certificate {
        command.args(["--cert", certificate, "--key", &format!("{certificate}.key")]);
    }
    command.output().expect("curl")
}

/// Debian's client over TLS, in the engine's network.
fn docker(engine: &Engine, address: &str, authority: &Authority, client: &str) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
        .args(["/usr/bin/docker", "--host", &format!("tcp://{address}"), "--tlsverify"])
        .args(["--tlscacert", &authority.path("ca.pem"), "--tlscert", client, "--tlskey"])
        .arg(format!("{client}.key"))
        .env("HOME", engine.directory())
        .stdin(Stdio::null());
    command
}

#[test]
fn tls_lets_in_whom_the_authority_has_signed() {
    let directory = std::env::temp_dir().join(format!("berth-tests-tls-{}", std::process::id()));
    let (authority, stranger) =
        (Authority::new(directory.join("own")), Authority::new(directory.join("other")));
    let server = authority.sign("server", 2100);
    let (good, expired) = (authority.sign("client", 2100), authority.sign("expired", 2002));
    let foreign = stranger.sign("client", 2100);
    let address = "127.0.0.1:22376";
    let place = format!("tcp://{address}");
    let key = format!("{server}.key");
    let files = ["--tlscert", &server, "--tlskey", &key, "--host", &place];

    let ca = authority.path("ca.pem");
    let engine = started_with(&[&files[..], &["--tlsverify", "--tlscacert", &ca]].concat());
    let answer = curl(&engine, address, &authority, Some(&good));
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "OK", "{answer:?}");
    for (what, certificate) in [("none", None), ("expired", Some(&expired)), ("foreign", Some(&foreign))] {
        let answer = curl(&engine, address, &authority, certificate.map(String::as_str));
        assert!(!answer.status.success() && answer.stdout.is_empty(), "{what}: {answer:?}");
    }
    let answer = curl(&engine, address, &stranger, Some(&good));
    assert!(!answer.status.success(), "a client that does not trust this daemon: {answer:?}");
    assert!(!engine.log().contains("HAS ROOT ON THIS HOST"), "nobody needs a warning here");
    // Streams are ciphered both ways, ends included.
    let mut cat = docker(&engine, address, &authority, &good);
    let mut cat = cat
        .args(["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo end >&2; exit 3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker");
    let input: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_be_bytes()[2]).collect();
    let mut stdin = cat.stdin.take().expect("stdin");
    let sent = input.clone();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &sent));
    let output = cat.wait_with_output().expect("docker");
    writer.join().expect("the writer").expect("input");
    assert!(output.stdout == input, "{} bytes came back", output.stdout.len());
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(3), &b"end\n"[..]));
    drop(engine);

    let engine = started_with(&[&files[..], &["--tls"]].concat());
    let answer = curl(&engine, address, &authority, None);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "OK", "{answer:?}");
    assert!(engine.log().contains("WITHOUT CLIENT CERTIFICATES: EVERYONE WHO CAN REACH IT"));
    for files in [["--tlscert", &ca, "--tlskey", &key], ["--tlscert", "/nosuch", "--tlskey", &key]] {
        let text = refusal(&engine, &[&files[..], &["--tls", "--host", "tcp://127.0.0.1:22380"]].concat());
        assert!(text.contains("ERROR"), "{text}");
    }
    drop(engine);
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn clients_that_vanish_without_a_word_free_everything() {
    let directory = std::env::temp_dir().join(format!("berth-tests-vanish-{}", std::process::id()));
    let authority = Authority::new(directory.clone());
    let (server, client) = (authority.sign("server", 2100), authority.sign("client", 2100));
    let address = "127.0.0.1:22381";
    let (key, place, ca) = (format!("{server}.key"), format!("tcp://{address}"), authority.path("ca.pem"));
    let engine = started_with(&[
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &server,
        "--tlskey",
        &key,
        "--host",
        &place,
    ]);
    let id = engine.run(&merged(sh("while :; do echo line; sleep 0.1; done"), json!({ "OpenStdin": true })));
    let shim = engine.shims().into_iter().next().expect("a shim");
    // Files are not counted in the daemon: it has some open for a while to make the image durable.
    let held = || (sockets_of(engine.daemon_pid()), descriptors_of(shim));
    let sockets = || {
        let listed =
            in_network_of(engine.network_pid(), &["ss", "-tnoH", "state", "established", "sport = :22381"]);
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // The first exec of a container opens what its shim keeps for all, and so does the first follower of a log.
    assert_eq!(engine.exec(&id, &["true"]).code, 0);
    let mut first = docker(&engine, address, &authority, &client);
    let mut first =
        first.args(["logs", "--follow", "--tail", "1", &id]).stdout(Stdio::piped()).spawn().expect("docker");
    let mut line = [0];
    first.stdout.take().expect("its output").read_exact(&mut line).expect("a line");
    first.kill().expect("kill");
    let _ = first.wait();
    wait::until("the first follower to be gone", || sockets().is_empty().then_some(()));
    let before = held();
    let mut clients: Vec<Child> = [
        vec!["attach", &id],
        vec!["logs", "--follow", &id],
        vec!["exec", "-i", &id, "cat"],
        vec!["stats", &id],
        vec!["events"],
    ]
    .into_iter()
    .map(|arguments| {
        let mut docker = docker(&engine, address, &authority, &client);
        let docker = docker.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        docker.spawn().expect("docker")
    })
    .collect();
    wait::until("five clients", || (sockets().len() >= 5 && held().0 >= before.0 + 5).then_some(()));
    wait::until("their streams", || (held().1 > before.1).then_some(()));
    // The kernel probes each after a while: one whose host is gone sends no end.
    wait::until("a question that is due", || {
        sockets().iter().any(|line| line.contains("timer:(keepalive,")).then_some(())
    });
    // A process that is killed sends no end of TLS, only the connection breaks.
    for client in &mut clients {
        client.kill().expect("kill");
        let _ = client.wait();
    }
    wait::until("all to be given back", || {
        let now = held();
        (now.0 <= before.0 && now.1 <= before.1).then_some(())
    });
    assert_eq!(engine.state(&id, "Running"), true);
    drop(engine);
    let _ = fs::remove_dir_all(directory);
}
