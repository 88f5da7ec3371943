//! Failures at every step of what is done with networks that clients make: a network that could not be made leaves
//! nothing, a container is as it was before a connect or disconnect that failed, and what could not be removed is
//! whole.

use std::collections::BTreeSet;
use std::path::PathBuf;

use berth_tests::{Client, Engine, Options, host, merged, sh, wait};
use serde_json::{Value, json};

/// The steps in which a network comes to be.
const CREATE: [&str; 8] = [
    "network-saved",
    "CreateBridge",
    "AddressBridge",
    "SetBridgeUp",
    "ConfigureHost",
    "CollectInterfaces",
    "AdoptEndpoints",
    "BuildFirewall",
];

/// The steps in which a running container comes into one.
pub(crate) const CONNECT: [&str; 14] = [
    "TakeAddress",
    "HoldPorts",
    "CreateInterface",
    "CarryPackets",
    "OpenFirewall",
    "ForgetConnections",
    "endpoint-options",
    "names-written",
    "interface-configured",
    "default-routes",
    "ports-moved",
    "hosts-changed",
    "names-sent",
    "names-answered",
];

/// An engine whose steps fail when they are named.
pub(crate) struct Faulty {
    pub(crate) engine: Engine,
    file: PathBuf,
}

impl Faulty {
    pub(crate) fn start() -> Self {
        let name = format!("berth-steps-{}-{:?}", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(name);
        let environment = vec![("BERTH_FAULT".to_owned(), format!("named-in:{}", file.display()))];
        let engine = Engine::start_with(Options { environment, ..Options::default() });
        Self { engine, file }
    }

    /// The next time that this step is done, it fails.
    fn fail(&self, step: &str) {
        std::fs::write(&self.file, step).expect("the file that names a step");
    }

    /// The next time that this step is done, the daemon dies.
    pub(crate) fn die_at(&self, step: &str) {
        self.fail(&format!("die-at:{step}"));
    }

    /// Whether the step has failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.file.exists()
    }

    pub(crate) fn client(&self) -> Client {
        self.engine.at("1.55")
    }

    pub(crate) fn call(&self, path: &str, body: &Value) -> (u16, String) {
        let answer = self.client().post_json(path, body);
        (answer.status(), answer.text())
    }

    /// What the host has of networks, without the names of what comes and goes with every start.
    fn host(&self) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
        let pid = self.engine.network_pid();
        (host::interfaces_of(pid), host::rules_of(pid), host::addresses_of(pid), host::held_ports_of(pid))
    }

    /// The files of names and their content.
    fn names(&self) -> Vec<(PathBuf, String)> {
        let directory = self.engine.exec_root().join("networks");
        let files = host::files_of(&directory).into_iter();
        files
            .map(|file| (file.clone(), std::fs::read_to_string(directory.join(file)).unwrap_or_default()))
            .filter(|(_, content)| content.lines().count() > 1)
            .collect()
    }

    fn networks(&self) -> Vec<Value> {
        let listed = self.client().get("/networks").expect(200).json();
        listed.as_array().expect("a list").clone()
    }

    /// What a container has of its networks, as its own interfaces and the engine show it.
    fn seen(&self, container: &str) -> (String, Value, String) {
        let script = "ip -o addr show | awk '{ print $2, $4 }'; ip route; ip -6 route show default; \
                      cat /etc/hosts /etc/resolv.conf";
        let inside = self.engine.exec(container, &["sh", "-c", script]).stdout;
        let mut shown = self.client().inspect(container)["NetworkSettings"].clone();
        // Events and ids of places count, names of sandboxes do not.
        shown.as_object_mut().expect("settings").remove("SandboxKey");
        let log = self.engine.at("1.20").inspect(container)["NetworkSettings"]["Ports"].to_string();
        (inside, shown, log)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

pub(crate) fn dual(name: &str, number: u8) -> Value {
    let pools =
        json!([{ "Subnet": format!("10.{number}.0.0/24") }, { "Subnet": format!("fd00:{number}::/64") }]);
    json!({ "Name": name, "EnableIPv6": true, "IPAM": { "Config": pools } })
}

/// A container in a network, with a published port.
pub(crate) fn publishing(network: &str) -> Value {
    let ports = json!({ "80/tcp": [{ "HostPort": "18080" }], "53/udp": [{ "HostPort": "18053" }] });
    merged(sh("sleep 600"), json!({ "HostConfig": { "NetworkMode": network, "PortBindings": ports } }))
}

#[test]
fn a_network_that_cannot_be_made_leaves_nothing() {
    let faulty = Faulty::start();
    let (host, networks) = (faulty.host(), faulty.networks().len());
    for step in CREATE {
        faulty.fail(step);
        let (status, text) = faulty.call("/networks/create", &dual("own", 90));
        assert!(faulty.has_failed(), "{step} is not done when a network is made");
        assert!(status >= 400 && text.contains(step), "{step}: {status} {text}");
        assert_eq!(faulty.networks().len(), networks, "{step}: the network is listed");
        wait::until(&format!("{step}: the host as before"), || (faulty.host() == host).then_some(()));
        assert_eq!(faulty.names(), [], "{step}: names");
    }
    let rows = host::rows_of(&faulty.engine.data_root().join("state.db"))["networks"];
    assert_eq!(rows, 0, "rows of networks that are not there");
    let (status, text) = faulty.call("/networks/create", &dual("own", 90));
    assert_eq!(status, 201, "once nothing fails: {text}");
    let _ = faulty.client().delete("/networks/own").expect(204);
    wait::until("the host as before", || (faulty.host() == host).then_some(()));
}

#[test]
fn a_connect_or_disconnect_that_fails_changes_nothing() {
    let faulty = Faulty::start();
    for (name, number) in [("a", 91), ("b", 92)] {
        assert_eq!(faulty.call("/networks/create", &dual(name, number)).0, 201);
    }
    let container = faulty.client().run(&publishing("b"));
    let option = json!({ "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" });
    let asked = json!({ "Container": container, "EndpointConfig": { "DriverOpts": option } });
    let (seen, host, names) = (faulty.seen(&container), faulty.host(), faulty.names());
    for step in CONNECT {
        faulty.fail(step);
        let (status, text) = faulty.call("/networks/a/connect", &asked);
        assert!(faulty.has_failed(), "{step} is not done by a connect: {status} {text}");
        assert!(status >= 400 && text.contains(step), "{step}: {status} {text}");
        assert_eq!(faulty.seen(&container), seen, "{step}");
        assert_eq!(faulty.names(), names, "{step}");
        wait::until(&format!("{step}: the host as before"), || (faulty.host() == host).then_some(()));
    }
    // The first network by name leads: default routes and ports are there now.
    assert_eq!(faulty.call("/networks/a/connect", &asked).0, 200);
    let (both, host_of_both, names_of_both) = (faulty.seen(&container), faulty.host(), faulty.names());
    assert!(both.0.contains("default via 10.91.0.1"), "{}", both.0);
    let leaving = json!({ "Container": container });
    for step in ["hosts-changed", "default-routes", "ports-moved"] {
        faulty.fail(step);
        let (status, text) = faulty.call("/networks/a/disconnect", &leaving);
        assert!(faulty.has_failed() && status >= 400 && text.contains(step), "{step}: {status} {text}");
        assert_eq!(faulty.seen(&container), both, "{step}");
        assert_eq!(faulty.names(), names_of_both, "{step}");
        wait::until(&format!("{step}: the host as before"), || (faulty.host() == host_of_both).then_some(()));
    }
    // What takes away goes on to the end.
    for step in ["RemoveInterface", "CloseFirewall", "names-sent", "names-answered"] {
        faulty.fail(step);
        assert_eq!(faulty.call("/networks/a/disconnect", &leaving).0, 200, "{step}");
        assert!(faulty.has_failed(), "{step} is not done by a disconnect");
        wait::until(&format!("{step}: the container as before"), || {
            (faulty.seen(&container).0 == seen.0 && faulty.host() == host).then_some(())
        });
        assert_eq!(faulty.names(), names, "{step}");
        assert_eq!(faulty.call("/networks/a/connect", &asked).0, 200, "{step}: it can come again");
    }
    assert_eq!(faulty.call("/networks/a/disconnect", &leaving).0, 200);
    let _ = faulty.client().delete(&format!("/containers/{container}?force=1")).expect(204);
    for name in ["a", "b"] {
        let _ = faulty.client().delete(&format!("/networks/{name}")).expect(204);
    }
}

#[test]
fn a_network_that_cannot_be_removed_is_whole_and_can_be_removed_again() {
    let faulty = Faulty::start();
    let before = faulty.host();
    assert_eq!(faulty.call("/networks/create", &dual("own", 93)).0, 201);
    let host = faulty.host();
    faulty.fail("RemoveBridge");
    let answer = faulty.client().delete("/networks/own").expect(500);
    assert!(faulty.has_failed() && answer.text().contains("RemoveBridge"), "{}", answer.text());
    assert_eq!(faulty.host(), host);
    let container = faulty.client().run(&publishing("own"));
    let _ = faulty.client().delete(&format!("/containers/{container}?force=1")).expect(204);
    faulty.fail("LeaveFirewall");
    let _ = faulty.client().delete("/networks/own").expect(204);
    assert!(faulty.has_failed(), "the firewall was not left");
    wait::until("the host as before", || (faulty.host() == before).then_some(()));
}
