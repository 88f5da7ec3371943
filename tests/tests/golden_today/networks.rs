//! Networks.

use berth_tests::golden::{Request, answer, kinds};
use berth_tests::{Engine, sh};
use serde_json::json;

use crate::{check, check_all, check_posts};

#[test]
fn answers_about_networks() {
    let engine = Engine::start();
    let network = json!({
        "Name": "golden", "Labels": { "kind": "golden" }, "Options": { "com.docker.network.driver.mtu": "1400" },
        "IPAM": { "Config": [{ "Subnet": "10.77.0.0/24", "Gateway": "10.77.0.1" }] },
    });
    let _ = engine.at("1.55").post_json("/networks/create", &network).expect(201);
    let id = engine.create_named("joined", &sh("true"));
    check_all(
        &engine,
        &[
            ("network-inspect", "GET", "/networks/golden"),
            ("network-inspect-none", "GET", "/networks/none"),
            ("network-unknown", "GET", "/networks/nosuch"),
            ("network-list-filtered", "GET", "/networks?filters=%7B%22name%22:%5B%22golden%22%5D%7D"),
            ("network-list-bad-filter", "GET", "/networks?filters=%7B%22nosuch%22:%5B%22x%22%5D%7D"),
            ("network-remove-predefined", "DELETE", "/networks/bridge"),
            ("network-remove-unknown", "DELETE", "/networks/nosuch"),
        ],
    );
    for (name, path) in [("network-list", "/networks"), ("network-list-slash", "/networks/")] {
        check(name, |version| {
            let mut seen = answer(&engine, version, &Request::new("GET", path));
            let mut networks = seen["body"].as_array().cloned().unwrap_or_default();
            networks.sort_by_key(|network| network["Name"].to_string());
            seen["body"] = networks.iter().map(kinds).collect();
            seen
        });
    }
    let container = json!({ "Container": id });
    check_posts(
        &engine,
        &[
            ("network-create-known", "/networks/create", json!({ "Name": "golden" })),
            ("network-create-nameless", "/networks/create", json!({})),
            ("network-create-unknown-driver", "/networks/create", json!({ "Name": "x", "Driver": "nosuch" })),
            (
                "network-create-overlapping",
                "/networks/create",
                json!({ "Name": "x", "IPAM": { "Config": [{ "Subnet": "10.77.0.0/25" }] } }),
            ),
            ("network-connect-unknown", "/networks/nosuch/connect", container.clone()),
            ("network-connect-host", "/networks/host/connect", container.clone()),
            ("network-disconnect-not-connected", "/networks/golden/disconnect", container.clone()),
        ],
    );
    check("network-create", |version| {
        let seen = answer(&engine, version, &Request::json("/networks/create", &json!({ "Name": "made" })));
        let _ = engine.at("1.55").delete("/networks/made").expect(204);
        seen
    });
    check("network-connect", |version| {
        let seen = answer(&engine, version, &Request::json("/networks/golden/connect", &container));
        let _ = engine.at("1.55").post_json("/networks/golden/disconnect", &container).expect(200);
        seen
    });
    engine.remove(&id);
    let _ = engine.at("1.55").delete("/networks/golden").expect(204);
    check_all(&engine, &[("network-prune-nothing", "POST", "/networks/prune")]);
}
