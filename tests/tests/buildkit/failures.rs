//! Why builds fail, in BuildKit's words.

use berth_tests::Engine;

use crate::client::{Order, run};
use crate::offers::Offers;

/// The text that a build fails with.
fn refused(engine: &Engine, dockerfile: &str, target: &str) -> String {
    let order = Order::of(Offers::of(dockerfile, &[("f", b"one")]), "x").option("target", target);
    let built = run(order.run(engine.socket()));
    let (code, text) = built.failure();
    assert_eq!(*code, 2, "clients show no code in front of {text}");
    text.clone()
}

#[test]
fn a_dockerfile_that_begins_wrong_is_refused() {
    let engine = Engine::start();
    for (dockerfile, want) in [
        ("", "the Dockerfile cannot be empty"),
        ("# nothing\n", "file with no instructions"),
        ("ARG x\n", "dockerfile contains no stages to build"),
        ("RUN x\n", "no build stage in current context"),
        ("FROM busybox\nENV x=${Y:?need\n", "failed to process \"${Y:?need\": syntax error: missing '}'"),
        ("FROM busybox\nENV x=${Y\n", "failed to process \"${Y\": syntax error: missing '}'"),
        ("FROM busybox\nENV x=${Y:?need}\n", "failed to process \"${Y:?need}\": Y: need"),
        (
            "FROM busybox\nENV x=${Y:z}\n",
            "failed to process \"${Y:z}\": unsupported modifier (:z) in substitution",
        ),
        ("FROM busybox\nENV x=${}\n", "failed to process \"${}\": syntax error: bad substitution"),
    ] {
        assert_eq!(refused(&engine, dockerfile, ""), want, "{dockerfile}");
    }
}

#[test]
fn stages_are_copied_from_in_their_order() {
    let engine = Engine::start();
    let later = "FROM busybox AS b\nRUN true\n";
    for (dockerfile, target, want) in [
        ("FROM busybox\nCOPY --from=0 /a /b\n", "", "circular dependency detected on stage: stage-0"),
        ("FROM busybox AS x\nCOPY --from=x /a /b\n", "", "circular dependency detected on stage: x"),
        ("FROM busybox\nCOPY --from=7 /a /b\n", "", "invalid stage index 7"),
        (
            &format!("FROM busybox AS a\nCOPY --from=b /a /b\n{later}FROM a\n"),
            "",
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
        ),
        (
            &format!(
                "FROM busybox\nRUN --mount=from=b,target=/x true\n{later}FROM busybox\nCOPY --from=0 / /\n"
            ),
            "",
            "cannot mount from stage \"b\" to \"/x\", stage needs to be defined before current command",
        ),
        (later, "bb", "target stage \"bb\" could not be found (did you mean b?)"),
        (later, "other", "target stage \"other\" could not be found"),
    ] {
        assert_eq!(refused(&engine, dockerfile, target), want, "{dockerfile}");
    }
}

#[test]
fn words_that_are_misspelt_are_told_with_what_was_meant() {
    let engine = Engine::start();
    for (instruction, want) in [
        ("COPY --form=x a b", "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)"),
        ("COPY --xyzzyplugh=x a b", "dockerfile parse error on line 2: unknown flag: --xyzzyplugh"),
        ("RUNN x", "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"),
        ("RUN --mount=typ=cache,target=/x true", "unexpected key 'typ' in 'typ=cache' (did you mean type?)"),
        ("RUN --mount=type=cahce,target=/x true", "unsupported mount type \"cahce\" (did you mean cache?)"),
        (
            "RUN --mount=type=cache,target=/x,sharing=shard true",
            "unsupported sharing value \"shard\" (did you mean shared?)",
        ),
    ] {
        assert_eq!(refused(&engine, &format!("FROM busybox\n{instruction}\n"), ""), want, "{instruction}");
    }
}

#[test]
fn a_command_that_does_not_begin_is_a_failed_process() {
    let engine = Engine::start();
    let build = |dockerfile: &str| {
        run(Order::of(Offers::of(&format!("FROM busybox\n{dockerfile}\n"), &[]), "x").run(engine.socket()))
    };
    let missing = build("RUN [\"nocmd\"]");
    let (code, text) = missing.failure();
    assert_eq!((*code, text.as_str()), (2, "process \"nocmd\" did not complete successfully: exit code: 1"));
    let output = missing.output();
    assert!(output.starts_with("unable to start container process: "), "{output}");
    assert!(output.contains("\"nocmd\"") && output.ends_with('\n'), "{output}");
    for (user, kind, file) in [("nosuch", "user", "passwd"), ("root:nosuch", "group", "group")] {
        let text = build(&format!("USER {user}\nRUN id")).failure().1.clone();
        let cause = format!("unable to find {kind} nosuch: no matching entries in {file} file");
        assert_eq!(text, format!("process \"/bin/sh -c id\" did not complete successfully: {cause}"));
    }
    engine.forget_builds();
}

#[test]
fn what_is_not_allowed_or_known_is_refused_before_anything_runs() {
    let engine = Engine::start();
    let order = || Order::of(Offers::of("FROM busybox\n", &[]), "x");
    let refused = |order: Order| run(order.run(engine.socket())).failure().clone();
    let mut insecure = order();
    insecure.request.entitlements = vec!["security.insecure".to_owned()];
    let text = "granting entitlement security.insecure is not allowed by build daemon configuration";
    assert_eq!(refused(insecure), (2, text.to_owned()));
    let exporter = order().exporters(&[("foo", &[])]);
    assert_eq!(refused(exporter), (2, "exporter \"foo\" could not be found".to_owned()));
    let (code, text) = refused(order().option("memory", "bad"));
    assert_eq!((code, text.as_str()), (2, "memory is not a number of bytes: \"bad\""));
}

#[test]
fn a_link_that_leads_out_of_the_context_is_not_found() {
    let engine = Engine::start();
    let mut context = crate::offers::Offer::of(&[]);
    let link = buildkit_messages::file_sync::Stat {
        path: b"out".to_vec(),
        mode: crate::offers::SYMLINK | 0o777,
        link: b"/nosuch".to_vec(),
        ..buildkit_messages::file_sync::Stat::default()
    };
    context.add(link, &[]);
    let order = Order::of(Offers::with("FROM busybox\nCOPY out /x\n", context), "x");
    let text = run(order.run(engine.socket())).failure().1.clone();
    assert_eq!(text, "failed to compute cache key: \"/out\": not found");
}
