//! Checks of clients and images, and how each version shows their results.

use berth_tests::{Context, Engine, merged, query, sh};
use serde_json::{Value, json};

use super::{MILLISECOND, checked, health, listed, told, until};

#[test]
fn what_probes_find_is_shown_listed_filtered_and_told() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.create(&checked(&["CMD", "test", "-f", "/ok"], json!({ "Retries": 3 })));
    assert_eq!(health(&today, &id), Value::Null, "it was never started");
    today.start(&id);
    let found = until(&today, &id, "unhealthy");
    assert!(found["FailingStreak"].as_u64() >= Some(3), "{found}");
    let result = found["Log"][0].as_object().expect("a result");
    assert_eq!(result.keys().collect::<Vec<_>>(), ["End", "ExitCode", "Output", "Start"]);
    assert_eq!((&result["ExitCode"], &result["Output"]), (&json!(1), &json!("")));
    assert!(result["Start"].as_str() < result["End"].as_str(), "{result:?}");
    let entry = listed(&today, &id);
    assert_eq!(entry["Health"]["Status"], "unhealthy");
    assert!(entry["Health"].get("Log").is_none() && entry["Health"]["FailingStreak"].as_u64() >= Some(3));
    assert!(entry["Status"].as_str().is_some_and(|text| text.ends_with(" (unhealthy)")), "{entry}");
    let _ = today.exec(&id, &["touch", "/ok"]);
    assert_eq!(until(&today, &id, "healthy")["FailingStreak"], 0);
    assert!(listed(&today, &id)["Status"].as_str().is_some_and(|text| text.ends_with(" (healthy)")));
    let _ = today.exec(&id, &["rm", "/ok"]);
    until(&today, &id, "unhealthy");
    let words = ["health_status: unhealthy", "health_status: healthy", "health_status: unhealthy"];
    assert_eq!(told(&today, &id), words, "changes alone");
    // What versions before it do not know.
    let before = engine.at("1.23");
    assert_eq!(health(&before, &id), Value::Null);
    assert!(listed(&before, &id)["Status"].as_str().is_some_and(|text| !text.contains("healthy")));
    assert_eq!(told(&before, &id), [""; 0]);
    assert_eq!(listed(&engine.at("1.51"), &id).get("Health"), None);
    assert!(
        listed(&engine.at("1.24"), &id)["Status"].as_str().is_some_and(|text| text.ends_with("healthy)"))
    );
}

#[test]
fn lists_are_filtered_by_health() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let later = json!({ "Interval": 600_000 * MILLISECOND });
    let containers = [
        ("none", today.run(&sh("sleep 600"))),
        ("starting", today.run(&checked(&["CMD", "true"], later))),
        ("healthy", today.run(&checked(&["CMD", "true"], json!({})))),
        ("unhealthy", today.run(&checked(&["CMD", "false"], json!({})))),
    ];
    until(&today, &containers[2].1, "healthy");
    until(&today, &containers[3].1, "unhealthy");
    for (word, id) in &containers {
        let path =
            format!("/containers/json{}", query(&[("filters", &json!({ "health": [word] }).to_string())]));
        let found = today.get(&path).expect(200).json();
        let ids: Vec<&str> =
            found.as_array().expect("a list").iter().filter_map(|one| one["Id"].as_str()).collect();
        assert_eq!(ids, [id.as_str()], "{word}");
        assert_eq!(found[0]["Health"]["Status"], *word);
    }
    assert_eq!(health(&today, &containers[0].1), Value::Null);
    let starting = listed(&today, &containers[1].1);
    assert!(
        starting["Status"].as_str().is_some_and(|text| text.ends_with(" (health: starting)")),
        "{starting}"
    );
    assert_eq!(
        health(&today, &containers[1].1),
        json!({ "Status": "starting", "FailingStreak": 0, "Log": [] })
    );
}

#[test]
fn checks_that_cannot_be_are_refused() {
    let engine = Engine::start();
    let refusal = |version: &str, check: Value| {
        let body = merged(sh("true"), json!({ "Healthcheck": check }));
        let answer = engine.at(version).post_json("/containers/create", &body);
        assert_eq!(answer.status(), if version == "1.55" { 400 } else { 500 }, "{check}: {}", answer.text());
        if version == "1.55" { answer.message() } else { answer.text() }
    };
    for (field, value) in
        [("Interval", -1), ("Interval", 999_999), ("Timeout", 1), ("StartPeriod", -5), ("StartInterval", 5)]
    {
        let message = refusal("1.55", json!({ "Test": ["CMD", "true"], field: value }));
        assert_eq!(message, format!("{field} in Healthcheck cannot be less than 1ms"));
    }
    let message = refusal("1.55", json!({ "Test": ["CMD", "true"], "Retries": -1 }));
    assert_eq!(message, "Retries in Healthcheck cannot be negative");
    for (test, part) in [
        (json!(["FOO"]), "it must begin with NONE, CMD or CMD-SHELL, not with \"FOO\""),
        (json!(["CMD"]), "CMD needs a command behind it"),
        (json!(["CMD-SHELL", ""]), "CMD-SHELL needs a command behind it"),
    ] {
        let message = refusal("1.55", json!({ "Test": test }));
        assert!(message.contains(part), "{message}");
    }
    let message = refusal("1.23", json!({ "Test": ["CMD", "true"] }));
    assert!(message.contains("Healthcheck is not supported: API 1.23 has no health"), "{message}");
}

#[test]
fn versions_pass_over_what_they_do_not_know() {
    let engine = Engine::start();
    let whole = json!({ "StartPeriod": 5 * MILLISECOND, "StartInterval": 7 * MILLISECOND });
    for (version, start_period, start_interval) in
        [("1.28", false, false), ("1.29", true, false), ("1.43", true, false), ("1.44", true, true)]
    {
        let id = engine.at(version).create(&checked(&["CMD", "true"], whole.clone()));
        let shown = engine.at(version).inspect(&id)["Config"]["Healthcheck"].clone();
        assert_eq!(shown.get("StartPeriod").is_some(), start_period, "{version}: {shown}");
        assert_eq!(shown.get("StartInterval").is_some(), start_interval, "{version}: {shown}");
    }
}

#[test]
fn what_is_left_open_comes_from_the_image_field_by_field() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let dockerfile = "FROM busybox\nSHELL [\"/bin/sh\", \"-xc\"]\n\
                      HEALTHCHECK --interval=50ms --start-interval=20ms --retries=4 CMD echo of the image\n";
    let image = today.build(&[], Context::of(dockerfile)).image();
    let made = |check: Value| {
        let body =
            json!({ "Image": image, "Cmd": ["sleep", "600"], "StopSignal": "KILL", "Healthcheck": check });
        let id = today.run(&body);
        let shown = today.inspect(&id)["Config"]["Healthcheck"].clone();
        (id, shown)
    };
    let test = json!(["CMD-SHELL", "echo of the image"]);
    let (interval, start_interval) = (50 * MILLISECOND, 20 * MILLISECOND);
    let (id, shown) = made(Value::Null);
    assert_eq!(
        shown,
        json!({ "Test": test, "Interval": interval, "StartInterval": start_interval, "Retries": 4 })
    );
    let found = until(&today, &id, "healthy");
    assert_eq!(found["Log"][0]["Output"], "+ echo of the image\nof the image\n", "by the image's shell");
    let (_, shown) = made(json!({ "Retries": 7, "Timeout": 5_000 * MILLISECOND, "Test": [] }));
    assert_eq!(
        shown,
        json!({ "Test": test, "Interval": interval, "StartInterval": start_interval, "Retries": 7,
                "Timeout": 5_000 * MILLISECOND })
    );
    let (off, shown) = made(json!({ "Test": ["NONE"] }));
    assert_eq!((&shown["Test"], &shown["Retries"]), (&json!(["NONE"]), &json!(4)));
    assert_eq!(health(&today, &off), Value::Null);
    let all = today.get("/containers/json?all=1").expect(200).json();
    for container in all.as_array().expect("a list") {
        today.remove(container["Id"].as_str().expect("an id"));
    }
    let _ = today.delete(&format!("/images/{image}")).expect(200);
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let long = json!({ "StartPeriod": 600_000 * MILLISECOND, "StartInterval": 20 * MILLISECOND,
                       "Interval": 30 * MILLISECOND, "Retries": 1 });
    let id = today.run(&checked(&["CMD", "test", "-f", "/ok"], long));
    super::results(&today, &id, 3);
    let found = health(&today, &id);
    assert_eq!((&found["Status"], &found["FailingStreak"]), (&json!("starting"), &json!(0)));
    let _ = today.exec(&id, &["touch", "/ok"]);
    until(&today, &id, "healthy");
    let _ = today.exec(&id, &["rm", "/ok"]);
    until(&today, &id, "unhealthy");
    let short = json!({ "StartPeriod": 300 * MILLISECOND, "StartInterval": 20 * MILLISECOND,
                        "Interval": 30 * MILLISECOND, "Retries": 1 });
    let id = today.run(&checked(&["CMD", "false"], short));
    until(&today, &id, "unhealthy");
}
