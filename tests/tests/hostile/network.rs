//! What a hostile container tries on the network and on its resolver files.

use berth_tests::host::in_network_of;
use berth_tests::{Options, merged, sh, wait};
use serde_json::{Value, json};

use super::{Target, with_python};

/// A container that does nothing for a long time.
fn idle(over: Value) -> Value {
    merged(sh("sleep 600"), over)
}

/// One of the addresses of `NetworkSettings`.
fn address(engine: &Target, id: &str, field: &str) -> String {
    engine.inspect(id)["NetworkSettings"][field].as_str().expect("an address").to_owned()
}

/// Sends a router advertisement (RFC 4861) to all nodes, from the interface's own hardware address.
const ADVERTISE: &str = "
import socket, struct
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(('eth0', 0))
own = raw.getsockname()[4][:6]
prefix = bytes([3, 4, 64, 0xc0]) + struct.pack('>IIxxxx', 1800, 1800) + bytes.fromhex('20010db80bad') + bytes(10)
message = bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8) + prefix
source = bytes.fromhex('fe80') + bytes(6) + bytes([own[0] ^ 2]) + own[1:3] + b'\\xff\\xfe' + own[3:]
target = bytes.fromhex('ff02') + bytes(13) + b'\\x01'
pseudo = source + target + struct.pack('>IxxxB', len(message), 58) + message
total = sum(struct.unpack('>%dH' % (len(pseudo) // 2), pseudo))
while total > 0xffff: total = (total & 0xffff) + (total >> 16)
message = message[:2] + struct.pack('>H', 0xffff & ~total) + message[4:]
head = struct.pack('>IHBB', 6 << 28, len(message), 58, 255)
for _ in range(5):
    raw.send(bytes.fromhex('333300000001') + own + b'\\x86\\xdd' + head + source + target + message)
print('sent')
";

/// Answers ARP for an address that is another's, and sends UDP as another.
const IMPERSONATE: &str = "
import socket, sys
victim, gateway = map(socket.inet_aton, sys.argv[1:3])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(('eth0', 0))
own = raw.getsockname()[4][:6]
for claimed in (victim, gateway):
    for _ in range(5):
        raw.send(b'\\xff' * 6 + own + bytes.fromhex('08060001080006040002') + own + claimed + own + claimed)
print('sent')
";

/// CVE-2020-13401: a container with NET_RAW announces itself as a router of IPv6.
#[test]
fn a_router_advertisement_of_a_container_changes_nobodys_routes() {
    for flags in [&[][..], &["--icc=false"]] {
        let arguments = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let engine = Target::start_with(Options { arguments, ..Options::default() });
        let victim = engine.run(&idle(json!({})));
        let host_routes = || in_network_of(engine.network_pid(), &["ip", "-6", "route"]);
        let before = host_routes();
        let sent = engine.output(&with_python(ADVERTISE, &[]));
        assert_eq!(sent.stdout, "sent\n", "{}", sent.stderr);
        assert_eq!(host_routes(), before);
        assert_eq!(engine.exec(&victim, &["ip", "-6", "route", "show", "dev", "eth0"]).stdout, "");
        assert_eq!(engine.exec(&victim, &["ip", "-6", "addr", "show", "dev", "eth0"]).stdout, "");
        let disabled =
            ["cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "/proc/sys/net/ipv6/conf/lo/disable_ipv6"];
        assert_eq!(engine.exec(&victim, &disabled).stdout, "1\n0\n");
    }
}

#[test]
fn a_container_that_impersonates_others_gets_nothing_of_theirs() {
    let engine = Target::start();
    let victim = engine.run(&idle(json!({})));
    let server = engine.run(&sh("while :; do echo served | nc -l -p 80; done"));
    let (own, gateway) = (address(&engine, &server, "IPAddress"), address(&engine, &server, "Gateway"));
    let ask = || engine.exec(&victim, &["nc", "-w", "3", &own, "80"]).stdout;
    wait::until("the server", || (ask() == "served\n").then_some(()));
    let neighbours = || {
        let listed = engine.exec(&victim, &["arp", "-n"]).stdout;
        let mut known: Vec<_> =
            listed.lines().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect();
        known.sort();
        known
    };
    let before = neighbours();
    let sent = engine.output(&with_python(IMPERSONATE, &[&own, &gateway]));
    assert_eq!(sent.stdout, "sent\n", "{}", sent.stderr);
    assert_eq!(neighbours(), before);
    wait::until("the server still", || (ask() == "served\n").then_some(()));
}

/// The daemon reads the hosts file of a container to bring a link's new address into it.
#[test]
fn a_hosts_file_of_8_gigabytes_does_not_reach_the_daemons_memory() {
    let engine = Target::start();
    let _ = engine.create_named("target", &idle(json!({})));
    engine.start("target");
    let parent = engine.run(&idle(json!({ "HostConfig": { "Links": ["target:db"] } })));
    let made = engine.exec(&parent, &["dd", "if=/dev/null", "of=/etc/hosts", "bs=1M", "seek=8192"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let _ = engine.post("/containers/target/restart?t=0").expect(204);
    assert!(engine.log().contains("/hosts: longer than 8388608 bytes"), "{}", engine.log());
    // A new start makes the file anew.
    let _ = engine.post(&format!("/containers/{parent}/restart?t=0")).expect(204);
    let hosts = engine.exec(&parent, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains(&format!("{}\tdb ", address(&engine, "target", "IPAddress"))), "{hosts}");
}
