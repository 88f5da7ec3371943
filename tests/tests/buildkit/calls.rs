//! What clients ask the frontend instead of a build: checks, outlines, targets.

use std::sync::atomic::{AtomicU32, Ordering};

use berth_tests::Engine;
use buildkit_messages::control::{ListWorkersRequest, ListWorkersResponse};
use buildkit_messages::gateway::{FrontendSolveRequest, FrontendSolveResponse};
use serde_json::{Value, json};

use crate::client::{Control, Order, run};
use crate::offers::Offers;
use crate::session::Session;
use crate::streams::Failure;

const DOCKERFILE: &str = "ARG BASE=busybox\nFROM ${BASE} as tools\nRUN --mount=type=secret,id=token true\n# whole everything\nFROM busybox AS whole\nARG COLOR=red\nCOPY --from=tools / /\n";

/// Asks the frontend of a build that is never solved.
fn asked(engine: &Engine, dockerfile: &str, options: &[(&str, &str)]) -> Result<Value, Failure> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("call-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    run(async {
        let socket = engine.socket();
        let order = Order::of(Offers::of(dockerfile, &[]), "x");
        let _session = Session::open(&socket, &name, order.offers).await;
        let (solving, driving) = (Control::open(&socket).await, Control::open(&socket).await);
        let mut request = order.request;
        request.frontend = String::new();
        (request.reference, request.session) = (name.clone(), name.clone());
        let owned = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let call = FrontendSolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            options: owned.collect(),
            ..FrontendSolveRequest::default()
        };
        tokio::select! {
            answer = driving.gateway::<FrontendSolveResponse>(&name, "Solve", &call) => {
                let metadata = answer?.result.expect("a result").metadata;
                assert!(!metadata["result.txt"].is_empty() || !metadata["result.json"].is_empty());
                Ok(serde_json::from_slice(&metadata["result.json"]).expect("JSON"))
            }
            ended = solving.solve(&request) => panic!("the build ended: {ended:?}"),
        }
    })
}

#[test]
fn checks_find_what_a_build_would_warn_of_and_build_nothing() {
    let engine = Engine::start();
    let found = asked(&engine, DOCKERFILE, &[("requestid", "frontend.lint")]).expect("an answer");
    assert_eq!(found["warnings"].as_array().map(Vec::len), Some(1), "{found}");
    let warning = &found["warnings"][0];
    assert_eq!(
        (&warning["ruleName"], &warning["location"]["ranges"][0]["start"]["line"]),
        (&json!("FromAsCasing"), &json!(2))
    );
    assert_eq!(found["sources"][0]["filename"], "Dockerfile");
    let broken =
        asked(&engine, "FROM busybox\nNOSUCH\n", &[("requestid", "frontend.lint")]).expect("an answer");
    assert!(broken["buildError"]["message"].as_str().is_some_and(|text| text.contains("NOSUCH")), "{broken}");
    let usage = engine.at("1.55").get("/system/df?type=build-cache&verbose=1").expect(200).json();
    assert_eq!(usage["BuildCacheUsage"]["Items"], json!([]), "nothing was built or kept");
}

#[test]
fn outlines_and_targets_say_what_a_dockerfile_offers() {
    let engine = Engine::start();
    let options = [("requestid", "frontend.outline"), ("build-arg:COLOR", "blue")];
    let outline = asked(&engine, DOCKERFILE, &options).expect("an answer");
    assert_eq!((&outline["name"], &outline["description"]), (&json!("whole"), &json!("everything")));
    let arguments = outline["args"].as_array().expect("a list");
    let values: Vec<_> = arguments.iter().map(|item| (&item["name"], &item["value"])).collect();
    assert_eq!(values, [(&json!("BASE"), &json!("busybox")), (&json!("COLOR"), &json!("blue"))]);
    assert_eq!(outline["secrets"][0]["name"], "token");
    let targets = asked(&engine, DOCKERFILE, &[("requestid", "frontend.targets")]).expect("an answer");
    let names = targets["targets"].as_array().expect("a list").iter();
    let names: Vec<_> = names.map(|target| (&target["name"], &target["default"])).collect();
    assert_eq!(names, [(&json!("tools"), &Value::Null), (&json!("whole"), &json!(true))]);
    let contexts = [("requestid", "frontend.targets"), ("context:other", "input:never-made")];
    assert_eq!(asked(&engine, DOCKERFILE, &contexts).expect("an answer"), targets, "no context is made");
    let known =
        asked(&engine, DOCKERFILE, &[("requestid", "frontend.subrequests.describe")]).expect("an answer");
    assert_eq!(known.as_array().map(Vec::len), Some(4));
    let (code, text) =
        asked(&engine, DOCKERFILE, &[("requestid", "frontend.nosuch")]).expect_err("no answer");
    assert_eq!((code, text.as_str()), (2, "unsupported request frontend.nosuch"));
}

/// The rules that a check finds broken with their lines, and why a build would fail.
fn checked(engine: &Engine, dockerfile: &str, options: &[(&str, &str)]) -> (Vec<String>, Value) {
    let options = [&[("requestid", "frontend.lint")], options].concat();
    let found = asked(engine, dockerfile, &options).expect("an answer");
    let warnings = found["warnings"].as_array().expect("a list").iter().map(|warning| {
        let line = &warning["location"]["ranges"][0]["start"]["line"];
        format!(
            "{line} {}: {}",
            warning["ruleName"].as_str().expect("a name"),
            warning["detail"].as_str().expect("a text")
        )
    });
    (warnings.collect(), found["buildError"].clone())
}

#[test]
fn checks_tell_of_variables_that_nothing_declares_and_of_what_a_build_would_fail_with() {
    let engine = Engine::start();
    let file = "FROM busybox AS a\nCOPY . $UNDEF\nFROM busybox\nARG B=1\nLABEL x=$B y=$BB\nENV P=$PATHX\nEXPOSE $PORT\n";
    let (found, failure) = checked(&engine, file, &[]);
    let used = "UndefinedVar: Usage of undefined variable";
    let want = [
        format!("2 {used} '$UNDEF'"),
        format!("5 {used} '$BB' (did you mean $B?)"),
        format!("6 {used} '$PATHX' (did you mean $PATH?)"),
    ];
    assert_eq!((found, failure), (want.to_vec(), Value::Null));
    let place = |line: usize| json!({ "ranges": [{ "start": { "line": line }, "end": { "line": line } }] });
    for (file, target, rules, message, location) in [
        ("FROM busybox\n", "nope", vec![], "target stage \"nope\" could not be found", json!({})),
        ("FROM busybox\nSTOPSIGNAL \"\"\n", "", vec![], "invalid signal: ", place(2)),
        (
            "FROM ${BASE}\n",
            "",
            vec!["UndefinedArgInFrom", "InvalidDefaultArgInFrom"],
            "base name (${BASE}) should not be blank",
            place(1),
        ),
        (
            "# check=error=true\nFROM busybox\nMAINTAINER x\n",
            "",
            vec!["MaintainerDeprecated"],
            "lint violation found for rules: MaintainerDeprecated",
            json!({}),
        ),
        (
            "# check=error=maybe;foo=bar\nFROM busybox\n",
            "",
            vec![],
            "failed to parse check options: failed to parse check option \"error=maybe\": strconv.ParseBool: parsing \
             \"maybe\": invalid syntax",
            json!({}),
        ),
    ] {
        let (found, failure) = checked(&engine, file, &[("target", target)]);
        let found: Vec<_> = found.iter().filter_map(|text| text.split([' ', ':']).nth(1)).collect();
        assert_eq!(found, rules, "{file}");
        assert_eq!(failure, json!({ "message": message, "location": location }), "{file}");
    }
    let violated = asked(
        &engine,
        "# check=error=true\nFROM busybox\nMAINTAINER x\n",
        &[("requestid", "frontend.outline")],
    );
    let (_, text) = violated.expect_err("no outline");
    assert_eq!(text, "lint violation found for rules: MaintainerDeprecated");
}

#[test]
fn a_build_is_checked_as_far_as_it_is_built() {
    let engine = Engine::start();
    let file = "FROM busybox AS a\nCOPY . $UNDEF\nWORKDIR x\nCMD x\nFROM busybox\nENV x=$NOTHING\n";
    let built = run(Order::of(Offers::of(file, &[]), "x").run(engine.socket()));
    built.result.as_ref().expect("a build");
    assert_eq!(built.warnings(), ["UndefinedVar: Usage of undefined variable '$NOTHING' (line 6)"]);
    engine.forget_builds();
}

#[test]
fn the_worker_tells_clients_what_host_gateway_stands_for() {
    let engine = Engine::start();
    let bridge = engine.at("1.55").get("/networks/bridge").expect(200).json();
    let workers: ListWorkersResponse = run(async {
        let control = Control::open(&engine.socket()).await;
        let request = ListWorkersRequest::default();
        control.call("/moby.buildkit.v1.Control/ListWorkers", &request).await.expect("workers")
    });
    let label = &workers.records[0].labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"];
    assert_eq!(bridge["IPAM"]["Config"][0]["Gateway"], **label);
}
