//! A daemon that dies within a connect or a disconnect leaves the next one a container that it makes whole: it is in the
//! network or it is not, and then its interfaces, routes, files, ports and names are all as they are then.

use serde_json::json;

use crate::check_networks;
use crate::networks::{CONNECT, Faulty, dual, publishing};

/// The steps in which a running container leaves a network.
const DISCONNECT: [&str; 7] = [
    "hosts-changed",
    "default-routes",
    "ports-moved",
    "RemoveInterface",
    "CloseFirewall",
    "names-sent",
    "names-answered",
];

/// The network of a move. The first by name leads, so that the first move moves the default route and the ports.
const LEADING: &str = "a";

impl Faulty {
    /// Lets the daemon die at a step of this request, and starts the next one; gives the networks of the container.
    fn die_within(&mut self, container: &str, step: &str, verb: &str) -> Vec<String> {
        self.die_at(step);
        let body = json!({ "Container": container, "EndpointConfig": { "DriverOpts": {
            "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" } } });
        let path = format!("/networks/{LEADING}/{verb}");
        let headers = [("Content-Type", "application/json")];
        let answer = self.client().attempt("POST", &path, &headers, body.to_string().as_bytes());
        assert!(answer.is_err() && self.has_failed(), "the daemon does not die at {step} of {verb}");
        assert!(self.is_noted(container), "{step} of {verb}");
        self.engine.replace_daemon();
        check_networks(&self.engine, container);
        assert!(!self.is_noted(container), "the next daemon has settled it: {step} of {verb}");
        let seen = self.client().inspect(container);
        let networks = seen["NetworkSettings"]["Networks"].as_object().expect("networks");
        networks.keys().cloned().collect()
    }

    fn moves(&self, container: &str, verb: &str) {
        let body = json!({ "Container": container });
        let (status, text) = self.call(&format!("/networks/{LEADING}/{verb}"), &body);
        assert_eq!(status, 200, "{verb}: {text}");
        check_networks(&self.engine, container);
        assert!(!self.is_noted(container), "{verb} is over");
    }

    /// Whether the container's networks are being changed, for a daemon that comes.
    fn is_noted(&self, container: &str) -> bool {
        self.engine.exec_root().join("containers").join(container).join("moving").exists()
    }
}

#[test]
fn a_daemon_that_dies_within_a_connect_or_disconnect_leaves_it_done_or_undone() {
    let mut faulty = Faulty::start();
    assert_eq!(faulty.call("/networks/create", &dual(LEADING, 94)).0, 201);
    let container = faulty.client().run(&publishing("bridge"));
    check_networks(&faulty.engine, &container);
    let mut seen = Vec::new();
    for step in CONNECT {
        let networks = faulty.die_within(&container, step, "connect");
        let is_in = networks == [LEADING, "bridge"];
        assert!(is_in || networks == ["bridge"], "{step}: {networks:?}");
        seen.push(is_in);
        if is_in {
            faulty.moves(&container, "disconnect");
        }
    }
    assert!(seen.is_sorted() && seen.contains(&true) && seen.contains(&false), "{seen:?}");
    seen.clear();
    faulty.moves(&container, "connect");
    for step in DISCONNECT {
        let networks = faulty.die_within(&container, step, "disconnect");
        let is_out = networks == ["bridge"];
        assert!(is_out || networks == [LEADING, "bridge"], "{step}: {networks:?}");
        seen.push(is_out);
        if is_out {
            faulty.moves(&container, "connect");
        }
    }
    assert!(seen.is_sorted() && seen.contains(&true) && seen.contains(&false), "{seen:?}");
    let _ = faulty.client().delete(&format!("/containers/{container}?force=1")).expect(204);
    let _ = faulty.client().delete(&format!("/networks/{LEADING}")).expect(204);
}
