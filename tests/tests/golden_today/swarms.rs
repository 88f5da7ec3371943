//! Unsupported parts, plugins and swarms: each of their endpoints reports that.

use berth_tests::Engine;
use serde_json::json;

use crate::{check_all, check_posts};

#[test]
fn answers_about_plugins() {
    let engine = Engine::start();
    check_all(
        &engine,
        &[
            ("plugins", "GET", "/plugins"),
            ("plugin-unknown", "GET", "/plugins/nosuch/json"),
            ("plugin-unknown-once", "GET", "/plugins/nosuch"),
            ("plugin-privileges", "GET", "/plugins/privileges?remote=x"),
            ("plugin-create", "POST", "/plugins/create?name=x"),
            ("plugin-enable", "POST", "/plugins/nosuch/enable?timeout=1"),
            ("plugin-disable", "POST", "/plugins/nosuch/disable"),
            ("plugin-push", "POST", "/plugins/nosuch/push"),
            ("plugin-remove", "DELETE", "/plugins/nosuch"),
        ],
    );
    check_posts(
        &engine,
        &[
            ("plugin-pull", "/plugins/pull?remote=x", json!([])),
            ("plugin-upgrade", "/plugins/nosuch/upgrade?remote=x", json!([])),
            ("plugin-set", "/plugins/nosuch/set", json!([])),
        ],
    );
}

#[test]
fn answers_about_swarms() {
    let engine = Engine::start();
    check_all(
        &engine,
        &[
            ("swarm", "GET", "/swarm"),
            ("swarm-unlock-key", "GET", "/swarm/unlockkey"),
            ("swarm-leave", "POST", "/swarm/leave"),
            ("nodes", "GET", "/nodes"),
            ("node", "GET", "/nodes/nosuch"),
            ("node-remove", "DELETE", "/nodes/nosuch"),
            ("services", "GET", "/services"),
            ("service", "GET", "/services/nosuch"),
            ("service-logs", "GET", "/services/nosuch/logs?stdout=1"),
            ("service-remove", "DELETE", "/services/nosuch"),
            ("tasks", "GET", "/tasks"),
            ("task", "GET", "/tasks/nosuch"),
            ("task-logs", "GET", "/tasks/nosuch/logs?stdout=1"),
            ("secrets", "GET", "/secrets"),
            ("secret", "GET", "/secrets/nosuch"),
            ("secret-remove", "DELETE", "/secrets/nosuch"),
            ("configs", "GET", "/configs"),
            ("config", "GET", "/configs/nosuch"),
            ("config-remove", "DELETE", "/configs/nosuch"),
        ],
    );
    let join = json!({ "ListenAddr": "127.0.0.1:1", "RemoteAddrs": ["127.0.0.1:1"], "JoinToken": "x" });
    check_posts(
        &engine,
        &[
            ("swarm-init", "/swarm/init", json!({})),
            ("swarm-join", "/swarm/join", join),
            ("swarm-update", "/swarm/update?version=1", json!({})),
            ("swarm-unlock", "/swarm/unlock", json!({})),
            ("node-update", "/nodes/nosuch/update?version=1", json!({})),
            ("service-create", "/services/create", json!({})),
            ("service-update", "/services/nosuch/update?version=1", json!({})),
            ("secret-create", "/secrets/create", json!({})),
            ("secret-update", "/secrets/nosuch/update?version=1", json!({})),
            ("config-create", "/configs/create", json!({})),
            ("config-update", "/configs/nosuch/update?version=1", json!({})),
        ],
    );
}
