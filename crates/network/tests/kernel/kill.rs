//! The daemon is killed at any moment; the next one leaves nothing of what was not finished.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use berth_network::inside::Configurer;
use berth_network::{Endpoint, Network};

use crate::world::*;

const ROUNDS: usize = 25;
/// Set for the process that is killed.
const SAVED: &str = "BERTH_TEST_KEPT_ENDPOINT";

/// What the engine does with containers all day, until it is killed.
#[test]
#[ignore = "is the process that the test below starts and kills"]
fn daemon() {
    let saved = std::env::var(SAVED).expect("only run by the test below");
    let kept: Endpoint = serde_json::from_str(&saved).expect("an endpoint");
    let network = Network::open(&options(), vec![kept]).expect("open");
    for number in (2..=200).cycle() {
        let namespace = Namespace::new();
        let endpoint =
            network.reserve(&request(number, &["8081:80", "127.0.0.1:0:53/udp"])).expect("reserved");
        network.connect(&endpoint.container, namespace.as_fd(), Configurer::Init).expect("connected");
        network.disconnect(&endpoint.container).expect("disconnected");
    }
}

/// Both tables; in which order the kernel lists them is no matter.
fn rules() -> String {
    ["ip", "bridge"].map(|family| run("nft", &format!("list ruleset {family}")).0).concat()
}

#[test]
fn a_killed_daemon_leaves_nothing_to_the_next() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let kept = Container::start(&network, 1, &["8080:80"]);
        serve(&kept.namespace, 80);
        let before = rules();
        let interfaces = run("ip", "-o link").0.lines().count();
        drop(network);
        let saved = serde_json::to_string(&kept.endpoint).expect("json");
        for round in 0..ROUNDS {
            let after = random_milliseconds();
            let mut daemon = Command::new(std::env::current_exe().expect("a path"))
                .args(["--ignored", "--exact", "kill::daemon", "--nocapture"])
                .env(SAVED, &saved)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("started");
            std::thread::sleep(after);
            daemon.kill().expect("killed");
            daemon.wait().expect("waited for");
            let mut said = String::new();
            let mut output = daemon.stderr.take().expect("a pipe");
            output.read_to_string(&mut said).expect("text");
            assert!(!said.contains("panicked"), "{said}");
            let context = format!("round {round}, killed after {after:?}");
            let network = Network::open(&options(), vec![kept.endpoint.clone()]).expect(&context);
            assert_eq!(rules(), before, "{context}");
            assert_eq!(run("ip", "-o link").0.lines().count(), interfaces, "{context}");
            let neighbours = run("ip", &format!("neigh show dev {BRIDGE}")).0;
            assert_eq!(neighbours.lines().count(), 1, "{context}: {neighbours}");
            let free = network.reserve(&request(2, &["8081:80"])).expect(&context);
            assert_ne!(free.ipv4.map(|it| it.address), Some(kept.address()));
            network.disconnect(&free.container).expect(&context);
            assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()), "{context}");
        }
    });
}

/// 5 to 68 ms: from before the daemon has opened to some containers later.
fn random_milliseconds() -> Duration {
    let mut byte = [0; 1];
    let mut source = std::fs::File::open("/dev/urandom").expect("random bytes");
    source.read_exact(&mut byte).expect("random bytes");
    Duration::from_millis(5 + u64::from(byte[0] % 64))
}
