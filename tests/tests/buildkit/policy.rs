//! Policies: the client's session judges each source before it is used.

use berth_tests::Engine;
use buildkit_messages::operations::Source;
use buildkit_messages::policy::{
    CheckPolicyRequest, CheckPolicyResponse, Decision, DenyMessage, ImageQuestion, PolicyAction,
    SourceQuestion,
};

use crate::client::{Order, Outcome, run};
use crate::graphs::{files, graph_of, made, source};
use crate::offers::Offers;

const DOCKERFILE: &str = "FROM busybox\nCOPY a /a\n";

type Policy = fn(&CheckPolicyRequest) -> CheckPolicyResponse;

/// Builds with the policy of the build's own session.
fn build(engine: &Engine, dockerfile: &str, policy: Policy) -> Outcome {
    let offers = Offers { policy: Some(policy), ..Offers::of(dockerfile, &[("a", b"one")]) };
    let mut order = Order::of(offers, "judged");
    order.judges_sources = true;
    run(order.run(engine.socket()))
}

fn decide(action: PolicyAction) -> CheckPolicyResponse {
    let decision = Decision { action: action.into(), ..Decision::default() };
    CheckPolicyResponse { decision: Some(decision), request: None }
}

fn identifier(request: &CheckPolicyRequest) -> &str {
    let source = request.source.as_ref().and_then(|description| description.source.as_ref());
    &source.expect("a source").identifier
}

#[test]
fn sources_are_judged_by_their_names() {
    let engine = Engine::start();
    let built = build(&engine, DOCKERFILE, |request| match identifier(request) {
        "local://dockerfile" | "local://context" | "docker-image://docker.io/library/busybox:latest" => {
            decide(PolicyAction::Allow)
        }
        _ => decide(PolicyAction::Deny),
    });
    assert!(built.result.is_ok(), "{:?}", built.result);
    for denied in ["local://context", "docker-image://docker.io/library/busybox:latest"] {
        let policy: Policy = if denied.starts_with("local") {
            |request| {
                if identifier(request) == "local://context" { denial() } else { decide(PolicyAction::Allow) }
            }
        } else {
            |request| {
                if identifier(request).starts_with("docker") { denial() } else { decide(PolicyAction::Allow) }
            }
        };
        let built = build(&engine, DOCKERFILE, policy);
        let (code, message) = built.failure();
        let want = format!("source {denied:?} is not allowed by the client's policy: not signed; nor known");
        assert_eq!((*code, message.contains(&want)), (2, true), "{message}");
    }
    engine.forget_builds();
}

fn denial() -> CheckPolicyResponse {
    let message = |text: &str| DenyMessage { message: text.to_owned() };
    let messages = vec![message("not signed"), message("nor known")];
    let decision = Decision { action: PolicyAction::Deny.into(), messages, update: None };
    CheckPolicyResponse { decision: Some(decision), request: None }
}

#[test]
fn another_image_takes_the_place_of_one() {
    let engine = Engine::start();
    let made = build(&engine, "FROM busybox\nRUN touch /other\n", |_| decide(PolicyAction::Allow));
    assert!(made.result.is_ok(), "{:?}", made.result);
    let built = build(&engine, "FROM busybox\nRUN test -e /other\n", |request| match identifier(request) {
        "docker-image://docker.io/library/busybox:latest" => {
            let identifier = "docker-image://docker.io/library/judged:latest".to_owned();
            let update = Some(Source { identifier, ..Source::default() });
            let decision = Decision { action: PolicyAction::Convert.into(), update, ..Decision::default() };
            CheckPolicyResponse { decision: Some(decision), request: None }
        }
        _ => decide(PolicyAction::Allow),
    });
    assert!(built.result.is_ok(), "{:?}", built.result);
    engine.forget_builds();
}

#[test]
fn what_was_made_of_judged_sources_is_not_judged_again() {
    let engine = Engine::start();
    let definition = graph_of(vec![
        (source("docker-image://busybox"), vec![]),
        (files(vec![made("/f", b"made")]), vec![0]),
    ]);
    let dockerfile = "FROM made\nCOPY --from=made /f /g\n";
    let build = |policy: Policy| {
        let offers = Offers { policy: Some(policy), ..Offers::of(dockerfile, &[]) };
        let mut order = Order::of(offers, "taken").option("context:made", "input:made-1");
        order.request.frontend_inputs.insert("made-1".to_owned(), definition.clone());
        order.judges_sources = true;
        run(order.run(engine.socket()))
    };
    let built = build(|_| decide(PolicyAction::Allow));
    assert!(built.result.is_ok(), "{:?}", built.result);
    assert_eq!(engine.output_of("taken", "cat /g"), "made");
    let denied = build(|request| match identifier(request) {
        name if name.starts_with("docker-image") => denial(),
        _ => decide(PolicyAction::Allow),
    });
    assert!(denied.failure().1.contains("busybox:latest\" is not allowed"), "{:?}", denied.failure());
    engine.forget_builds();
}

#[test]
fn lists_of_rules_are_refused_by_name() {
    let engine = Engine::start();
    let mut order = Order::of(Offers::of(DOCKERFILE, &[("a", b"one")]), "x");
    order.request.source_policy = Some(Vec::new());
    let (code, message) = run(order.run(engine.socket())).result.expect_err("a list");
    assert!(
        code == 2 && message.contains("a policy for sources that is a list of rules"),
        "{code} {message}"
    );
}

#[test]
fn a_policy_may_ask_for_the_configuration_of_an_image() {
    let engine = Engine::start();
    let built = build(&engine, "FROM busybox\nLABEL a=b\n", |request| {
        let source = request.source.as_ref().expect("a source");
        match &source.image {
            _ if !identifier(request).starts_with("docker-image") => decide(PolicyAction::Allow),
            Some(image) if image.digest.starts_with("sha256:") && image.config.starts_with(b"{") => {
                decide(PolicyAction::Allow)
            }
            Some(_) => decide(PolicyAction::Deny),
            None => {
                let question =
                    SourceQuestion { image: Some(ImageQuestion::default()), ..SourceQuestion::default() };
                CheckPolicyResponse { decision: None, request: Some(question) }
            }
        }
    });
    assert!(built.result.is_ok(), "{:?}", built.result);
    let signed = build(&engine, "FROM busybox\nLABEL a=b\n", |request| {
        let image = ImageQuestion { attestation_chain: true, ..ImageQuestion::default() };
        let question = SourceQuestion { image: Some(image), ..SourceQuestion::default() };
        if identifier(request).starts_with("local") {
            decide(PolicyAction::Allow)
        } else {
            CheckPolicyResponse { decision: None, request: Some(question) }
        }
    });
    assert!(signed.failure().1.contains("that is not supported"), "{:?}", signed.failure());
    engine.forget_builds();
}
