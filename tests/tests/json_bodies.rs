//! Bodies hold one JSON value; at 1.20 the first one counts, as with the reference.

use berth_tests::today::Today;
use berth_tests::{Answer, Client, sh};

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

fn post(client: &Client, path: &str, body: &str) -> Answer {
    client.call("POST", path, JSON, body.as_bytes())
}

#[test]
fn what_stands_behind_the_value_of_a_body_is_refused() {
    let engine = Today::start();
    let container = engine.run(&sh("sleep 600"));
    let exec = engine.exec_create(&container, &serde_json::json!({ "Cmd": ["true"] }));
    let settings = sh("true").to_string();
    for (path, body) in [
        ("/networks/create", r#"{"Name":"own"}"#),
        ("/networks/bridge/connect", r#"{"Container":"x"}"#),
        ("/networks/bridge/disconnect", r#"{"Container":"x"}"#),
        ("/volumes/create", r#"{"Name":"own"}"#),
        ("/containers/create", &settings),
        (&format!("/containers/{container}/update"), r#"{"Memory":0}"#),
        (&format!("/containers/{container}/exec"), r#"{"Cmd":["true"]}"#),
        (&format!("/exec/{exec}/start"), r#"{"Detach":true}"#),
        (&format!("/commit?container={container}"), "{}"),
        ("/auth", "{}"),
    ] {
        for behind in ["trailing", "{}", "}"] {
            let answer = post(&engine, path, &format!("{body} {behind}")).expect(400);
            assert_eq!(answer.message(), "unexpected content after JSON", "{path}");
        }
    }
    let _ = engine.get("/networks/own").expect(404);
    let _ = engine.get("/volumes/own").expect(404);
    let _ = post(&engine, "/networks/create", "{\"Name\":\"own\"} \r\n\t").expect(201);
    let _ = post(&engine.daemon, "/containers/create", &format!("{settings} trailing")).expect(201);
}
