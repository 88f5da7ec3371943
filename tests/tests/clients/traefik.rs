//! Traefik, which makes routes to containers by their labels.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use berth_tests::{Engine, Program, host, installed, merged, sh, wait};
use serde_json::json;

/// Where it listens, in the engine's network.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8100);

/// Its response for a path without a route.
const NO_ROUTE: &str = "404 page not found\n";

/// A running Traefik.
struct Traefik(Child);

impl Traefik {
    fn start(engine: &Engine) -> Self {
        let program = Program::new(engine, installed("traefik").join("bin/traefik"))
            .with("TRAEFIK_PROVIDERS_DOCKER", "true")
            .with("TRAEFIK_PROVIDERS_DOCKER_EXPOSEDBYDEFAULT", "false")
            .with("TRAEFIK_PROVIDERS_DOCKER_ENDPOINT", &format!("unix://{}", engine.socket().display()))
            .with("TRAEFIK_ENTRYPOINTS_WEB_ADDRESS", &ADDRESS.to_string())
            .with("TRAEFIK_GLOBAL_CHECKNEWVERSION", "false")
            .with("TRAEFIK_GLOBAL_SENDANONYMOUSUSAGE", "false");
        let child =
            program.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("timeout (coreutils)"))
    }
}

impl Drop for Traefik {
    fn drop(&mut self) {
        // `timeout` passes the signal on, and ends when Traefik has ended.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Runs a web server with a page that has its name, and a route to it.
fn serve(engine: &Engine, name: &str) -> String {
    let script = format!("mkdir /www; echo {name} > /www/{name}; exec httpd -f -p 8080 -h /www");
    let rule = format!("traefik.http.routers.{name}.rule");
    let labels = json!({ "traefik.enable": "true", rule: format!("Path(`/{name}`)") });
    let settings = json!({ "Labels": labels, "ExposedPorts": { "8080/tcp": {} } });
    engine.run(&merged(sh(&script), settings))
}

/// Waits until a path shows a text.
fn shows(engine: &Engine, path: &str, wanted: &str) {
    wait::until(&format!("{wanted:?} at {path}"), || {
        (host::fetch(engine.network_pid(), ADDRESS, path) == wanted).then_some(())
    });
}

#[test]
fn traefik_follows_containers_that_come_and_go() {
    let engine = Engine::start();
    let first = serve(&engine, "first");
    let traefik = Traefik::start(&engine);
    shows(&engine, "/first", "first\n");
    shows(&engine, "/second", NO_ROUTE);
    let second = serve(&engine, "second");
    shows(&engine, "/second", "second\n");
    engine.remove(&first);
    shows(&engine, "/first", NO_ROUTE);
    shows(&engine, "/second", "second\n");
    let _ = engine.post(&format!("/containers/{second}/stop?t=0")).expect(204);
    shows(&engine, "/second", NO_ROUTE);
    let _ = engine.post(&format!("/containers/{second}/start")).expect(204);
    shows(&engine, "/second", "second\n");
    drop(traefik);
}
