//! Volumes.

use berth_tests::Engine;
use serde_json::json;

use crate::{check_all, check_posts};

#[test]
fn answers_about_volumes() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let options = json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m" });
    let volume = json!({ "Name": "golden", "Labels": { "kind": "golden" }, "DriverOpts": options });
    let _ = today.post_json("/volumes/create", &volume).expect(201);
    check_posts(
        &engine,
        &[
            ("volume-create", "/volumes/create", json!({ "Name": "made" })),
            ("volume-create-unknown-driver", "/volumes/create", json!({ "Name": "x1", "Driver": "nosuch" })),
            ("volume-create-bad-name", "/volumes/create", json!({ "Name": "a b" })),
            (
                "volume-create-bad-option",
                "/volumes/create",
                json!({ "Name": "x1", "DriverOpts": { "nosuch": "x" } }),
            ),
        ],
    );
    let _ = today.delete("/volumes/made").expect(204);
    check_all(
        &engine,
        &[
            ("volume-inspect", "GET", "/volumes/golden"),
            ("volume-list", "GET", "/volumes"),
            ("volume-list-bad-filter", "GET", "/volumes?filters=%7B%22nosuch%22:%5B%22x%22%5D%7D"),
            ("volume-unknown", "GET", "/volumes/nosuch"),
            ("volume-remove-unknown", "DELETE", "/volumes/nosuch"),
            ("volume-change", "PUT", "/volumes/golden"),
        ],
    );
    let _ = today.delete("/volumes/golden").expect(204);
    check_all(
        &engine,
        &[("volume-list-empty", "GET", "/volumes"), ("volume-prune-nothing", "POST", "/volumes/prune")],
    );
}
