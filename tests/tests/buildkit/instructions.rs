//! What BuildKit's way makes of instructions, where classic builds make something else.

use berth_tests::Engine;
use buildkit_messages::control::{CacheEntry, CacheOptions};
use buildkit_messages::file_sync::Stat;

use crate::client::{Order, Outcome, run};
use crate::offers::{Offer, Offers, SYMLINK};

fn order(dockerfile: &str) -> Order {
    Order::of(Offers::of(dockerfile, &[("f", b"one")]), "made")
}

fn build(engine: &Engine, dockerfile: &str) -> Outcome {
    let built = run(order(dockerfile).run(engine.socket()));
    built.result.as_ref().expect("a build");
    built
}

#[test]
fn a_step_sees_a_sandbox_and_not_a_container() {
    let engine = Engine::start();
    let built = build(&engine, "FROM busybox\nRUN hostname; env; grep -c buildkitsandbox /etc/hosts\n");
    let output = built.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"buildkitsandbox"), Some(&"1")), "{output}");
    assert!(!output.contains("HOSTNAME="), "{output}");
    let named = order("FROM busybox\nRUN hostname; echo $http_proxy $HTTP_PROXY\n");
    let named =
        named.option("build-arg:BUILDKIT_SANDBOX_HOSTNAME", "own").option("build-arg:HTTP_PROXY", "p");
    assert_eq!(run(named.run(engine.socket())).output(), "own\np p\n");
    engine.forget_builds();
}

#[test]
fn a_user_may_write_into_its_working_directory() {
    let engine = Engine::start();
    let accounts = "echo app:x:1000:1001::/:/bin/sh >> /etc/passwd; echo web:x:2000: >> /etc/group";
    let dockerfile = format!(
        "FROM busybox\nRUN {accounts}\nUSER app:web\nWORKDIR /w/sub\nRUN touch x; stat -c '%n %u:%g' /w /w/sub\n"
    );
    let built = build(&engine, &dockerfile);
    assert_eq!(built.output(), "/w 1000:2000\n/w/sub 1000:2000\n");
    engine.forget_builds();
}

#[test]
fn a_user_runs_in_a_directory_that_it_cannot_enter() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN mkdir -m 700 /own\nWORKDIR /own\nUSER 1000\nRUN pwd; id -u\n";
    let built = run(order(dockerfile).run(engine.socket()));
    assert_eq!(built.output(), "/own\n1000\n", "{:?}", built.result);
    engine.forget_builds();
}

#[test]
fn the_network_of_the_host_needs_an_entitlement() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nRUN --network=host true\n";
    let refused = run(order(dockerfile).run(engine.socket()));
    let (code, text) = refused.failure();
    assert_eq!(*code, 2, "{text}");
    assert!(text.contains("network.host is not allowed"), "{text}");
    let whole = order("FROM busybox\nRUN true\n").option("force-network-mode", "host");
    let refused = run(whole.run(engine.socket()));
    assert_eq!(*refused.failure(), (2, "network.host is not allowed".to_owned()));
    let mut allowed = order(dockerfile);
    allowed.request.entitlements = vec!["network.host".to_owned()];
    run(allowed.run(engine.socket())).result.expect("a build");
    engine.forget_builds();
}

#[test]
fn images_have_the_history_and_the_configuration_of_buildkit() {
    let engine = Engine::start();
    let today = engine.at("1.41");
    build(
        &engine,
        "FROM busybox\nARG x=abc\nENV A=1\nWORKDIR /tmp\nCOPY f /abc/\nRUN true\nONBUILD RUN y\nCMD [\"a\"]\nONBUILD RUN z\n",
    );
    let history = today.get("/images/made/history").expect(200).json();
    let entries: Vec<_> = history.as_array().expect("entries").iter().take(6).collect();
    let shown: Vec<_> =
        entries.iter().rev().map(|entry| entry["CreatedBy"].as_str().expect("a text")).collect();
    let want = [
        "ARG x=abc",
        "ENV A=1",
        "WORKDIR /tmp",
        "COPY f /abc/ # buildkit",
        "RUN |1 x=abc /bin/sh -c true # buildkit",
        "CMD [\"a\"]",
    ];
    assert_eq!(shown, want);
    assert_eq!(
        (&entries[0]["Id"], &entries[0]["Tags"]),
        (&today.get("/images/made/json").expect(200).json()["Id"], &serde_json::json!(["made:latest"]))
    );
    assert!(entries.iter().all(|entry| entry["Comment"] == "buildkit.dockerfile.v0"), "{history}");
    let made = today.get("/images/made/json").expect(200).json();
    assert_eq!((&made["Config"]["ArgsEscaped"], &made["Config"]["Image"]), (&true.into(), &"".into()));
    assert_eq!((&made["Container"], &made["DockerVersion"]), (&"".into(), &"".into()));
    engine.forget_builds();
}

#[test]
fn directories_of_clients_are_contexts_beside_the_main_one() {
    let engine = Engine::start();
    let mut offers = Offers::of("FROM busybox\nCOPY --from=extra f /f\nRUN cat /f\n", &[]);
    offers.directories.insert("extra".to_owned(), Offer::of(&[("f", b"of the other")]));
    let order = Order::of(offers, "made").option("context:extra", "local:extra");
    // As buildx sends it beside each.
    let order = order.option("sharedkey:localdir:extra", "/home/me/extra");
    assert_eq!(run(order.run(engine.socket())).output(), "of the other");
    engine.forget_builds();
}

#[test]
fn an_image_from_elsewhere_is_a_cache_where_it_is_named() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let dockerfile = "FROM busybox\nARG a=1\nCOPY f /f\nRUN cat /proc/uptime > /up\n";
    build(&engine, dockerfile);
    let saved = today.get("/images/made/get").expect(200).body;
    let layers = || today.get("/images/made/json").expect(200).json()["RootFS"].clone();
    let first = layers();
    engine.forget_builds();
    let _ = today.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &saved).expect(200);
    let step = "[3/3] RUN cat /proc/uptime > /up";
    let order_with = |content: &[u8]| {
        let mut order = Order::of(Offers::of(dockerfile, &[("f", content)]), "made");
        let imports = vec![CacheEntry {
            kind: "registry".to_owned(),
            attributes: [("ref".to_owned(), "made".to_owned())].into(),
        }];
        order.request.cache = Some(CacheOptions { imports, ..CacheOptions::default() });
        order
    };
    let again = run(order_with(b"one").run(engine.socket()));
    assert_eq!(again.step(step), "cached");
    assert_eq!(layers(), first);
    let changed = run(order_with(b"three").run(engine.socket()));
    assert_eq!(changed.step(step), "done", "what differs is made, and what follows it");
    engine.forget_builds();
}

#[test]
fn what_a_step_writes_into_a_volume_stays() {
    let engine = Engine::start();
    build(&engine, "FROM busybox\nVOLUME /v\nRUN mkdir /v && echo kept > /v/f\nRUN cat /v/f\n");
    assert_eq!(engine.output_of("made", "cat /v/f"), "kept\n");
    engine.forget_builds();
}

#[test]
fn names_of_files_are_bytes() {
    let engine = Engine::start();
    let mut context = Offer::of(&[("a", b"one")]);
    let name = b"bad\xff\xfename".to_vec();
    context.add(Stat { path: name, mode: 0o644, size: 3, ..Stat::default() }, b"odd");
    let dockerfile =
        "FROM busybox\nCOPY . /c\nCOPY b* /d/\nRUN cat /c/bad* /d/bad* && echo /c/bad* | od -An -c\n";
    let built = run(Order::of(Offers::with(dockerfile, context), "made").run(engine.socket()));
    built.result.as_ref().expect("a build");
    let output = built.output();
    assert!(output.starts_with("oddodd") && output.contains("b   a   d 377 376   n"), "{output}");
    engine.forget_builds();
}

#[test]
fn a_missing_agent_has_a_place_all_the_same() {
    let engine = Engine::start();
    let built =
        build(&engine, "FROM busybox\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK; ls $SSH_AUTH_SOCK || true\n");
    let output = built.output();
    assert!(output.starts_with("/run/buildkit/ssh_agent.0\n"), "{output}");
    assert!(output.contains("No such file"), "{output}");
    engine.forget_builds();
}

#[test]
fn variables_name_no_stage_to_copy_from() {
    let engine = Engine::start();
    let dockerfile = "ARG Z=a\nFROM busybox AS a\nFROM busybox\nARG Z=a\nCOPY --from=$Z /etc/passwd /x\n";
    let refused = run(order(dockerfile).run(engine.socket()));
    let (_, text) = refused.failure();
    assert!(text.contains("variables are not put into --from=$Z"), "{text}");
    engine.forget_builds();
}

#[test]
fn a_dockerfile_may_be_a_link_and_must_not_be_too_long() {
    let engine = Engine::start();
    let offered = |directory: Offer| {
        let mut offers = Offers::of("", &[]);
        offers.directories.insert("dockerfile".to_owned(), directory);
        Order::of(offers, "made")
    };
    let mut linked = Offer::default();
    let link = b"real".to_vec();
    linked.add(Stat { path: b"Dockerfile".to_vec(), mode: SYMLINK | 0o777, link, ..Stat::default() }, &[]);
    let real = Offer::of(&[("real", b"FROM busybox\nRUN echo linked\n")]);
    linked.add(real.stats[0].clone(), b"FROM busybox\nRUN echo linked\n");
    assert_eq!(run(offered(linked).run(engine.socket())).output(), "linked\n");
    let long = vec![b'#'; 3 << 20];
    let refused = run(offered(Offer::of(&[("Dockerfile", &long)])).run(engine.socket()));
    assert_eq!(refused.failure().1, "Dockerfile has more than 2097152 bytes");
    engine.forget_builds();
}

#[test]
fn a_secret_in_a_variable_is_masked_in_the_name_of_its_step() {
    let engine = Engine::start();
    let mut offers = Offers::of(
        "FROM busybox\nENV A=1\nRUN --mount=type=secret,id=k,env=SEC echo \"env $SEC\" ${SEC:-x} $A $B > /dev/null\n",
        &[],
    );
    offers.secrets.insert("k".to_owned(), b"hidden".to_vec());
    let built = run(Order::of(offers, "made").run(engine.socket()));
    built.result.as_ref().expect("a build");
    let name = "[2/2] RUN --mount=type=secret,id=k,env=SEC echo \"env ****\" **** 1 $B > /dev/null";
    assert_eq!(built.step(name), "done");
    engine.forget_builds();
}

#[test]
fn names_of_stages_are_small_letters_behind_from() {
    let engine = Engine::start();
    let refused = run(order("FROM busybox AS Base\nFROM Base\n").run(engine.socket()));
    let (_, text) = refused.failure();
    assert!(text.contains("failed to parse stage name \"Base\""), "{text}");
    let dockerfile = "FROM busybox AS Base\nRUN touch /x\nFROM base\nCOPY --from=BASE /x /y\n";
    run(order(dockerfile).option("target", "").run(engine.socket())).result.expect("a build");
    engine.forget_builds();
}

#[test]
fn a_step_has_the_limits_that_the_client_wants() {
    let engine = Engine::start();
    let limit =
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null; true";
    let shares = "cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu.weight 2> /dev/null; true";
    let wanted = order(&format!("FROM busybox\nRUN {limit}\nRUN {shares}\n"));
    let wanted = wanted.option("memory", "104857600").option("cpushares", "2048");
    let built = run(wanted.run(engine.socket()));
    built.result.as_ref().expect("a build");
    let output = built.output();
    let numbers: Vec<&str> = output.lines().collect();
    assert!(numbers.contains(&"104857600"), "{output}");
    engine.forget_builds();
}
