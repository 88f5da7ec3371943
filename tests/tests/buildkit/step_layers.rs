//! What the layer of a step has: what its command did, and nothing of what was around it.

use std::fs;

use berth_tests::{Engine, tarball, wait};

use crate::client::{Order, run};
use crate::endings::{begin_order, nothing_is_left};
use crate::offers::Offers;

fn order(dockerfile: &str) -> Order {
    Order::of(Offers::of(dockerfile, &[("f", b"one")]), "made")
}

/// The names in the layer that the last step of a build makes.
fn last_layer(engine: &Engine, dockerfile: &str) -> Vec<String> {
    run(order(dockerfile).run(engine.socket())).result.expect("a build");
    let saved = tarball::entries(&engine.at("1.55").get("/images/made/get").expect(200).body);
    let manifest: serde_json::Value =
        serde_json::from_slice(&saved["manifest.json"].content).expect("a manifest");
    let layer = manifest[0]["Layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
    let layer = &saved[layer.as_str().expect("a name")];
    engine.forget_builds();
    tarball::names(&layer.content)
}

#[test]
fn mount_points_and_their_removal_are_no_changes() {
    let engine = Engine::start();
    let touched = "RUN rm /.dockerenv && echo seen > /own\n";
    assert_eq!(last_layer(&engine, &format!("FROM busybox\n{touched}")), ["own"]);
    let moved = "RUN mv /.dockerenv /moved && test -f /etc/hosts\n";
    assert_eq!(last_layer(&engine, &format!("FROM busybox\n{moved}")), ["moved"]);
    assert_eq!(last_layer(&engine, "FROM busybox\nRUN true\n"), [""; 0]);
}

#[test]
fn what_a_step_makes_in_the_place_of_mount_points_stays() {
    let engine = Engine::start();
    let made = "RUN echo own > /.dockerenv && echo own > /etc/own && chmod 711 /etc\n";
    let names = last_layer(&engine, &format!("FROM busybox\n{made}RUN stat -c %a /etc > /mode\n"));
    assert_eq!(names, ["mode"]);
    let names = last_layer(&engine, &format!("FROM busybox\n{made}"));
    assert_eq!(names, [".dockerenv", "etc", "etc/own"]);
    // What an image has there is deleted in the layer above it.
    let names = last_layer(&engine, &format!("FROM busybox\n{made}RUN rm /.dockerenv /etc/own\n"));
    assert_eq!(names, [".wh..dockerenv", "etc", "etc/.wh.own"]);
    // So it is where the image has replaced what is a directory elsewhere.
    let links = "RUN rm -rf /opt && mkdir -p /opt/etc && ln -s opt/etc /linked\n";
    let names = last_layer(&engine, &format!("FROM busybox\n{links}RUN rm /linked\n"));
    assert_eq!(names, [".wh.linked"]);
}

#[test]
fn a_step_begins_with_an_empty_layer() {
    let engine = Engine::start();
    run(async {
        let sleeping = order("FROM busybox\nRUN echo begun > /begun; sleep 600\n");
        let layer = || {
            let entries = fs::read_dir(engine.data_root().join("containers")).into_iter().flatten();
            let mut uppers = entries.flatten().map(|container| container.path().join("upper"));
            let upper = uppers.find(|upper| upper.join("begun").exists())?;
            let names = fs::read_dir(upper).expect("a layer").flatten();
            Some(names.map(|entry| entry.file_name()).collect::<Vec<_>>())
        };
        let begun = begin_order(engine.socket(), sleeping, async |_| layer().is_some()).await;
        assert_eq!(layer().expect("the step's layer"), ["begun"], "nothing was made for mounts");
        begun.call.abort();
    });
    wait::until("the end of the build", || (engine.builds_with_files() == 0).then_some(()));
    nothing_is_left(&engine);
}

#[test]
fn a_step_finds_nothing_that_an_earlier_one_did_to_its_hosts_file() {
    let engine = Engine::start();
    // Each shows that its changes took place: otherwise their absence in the next one would prove nothing.
    let show = "stat -c '%n %a %u:%g' /etc/hosts /etc/resolv.conf /etc/hostname";
    // Without a network the kernel sends nothing by itself, after which a host of steps would not be used again.
    for network in ["default", "none"] {
        let changing = format!(
            "RUN --network={network} echo 192.0.2.7 elsewhere >> /etc/hosts && chmod 600 /etc/hosts && chown 7:8 /etc/resolv.conf && \
         grep -c elsewhere /etc/hosts && {show}\n"
        );
        let looking = format!(
            "RUN --network={network} grep -c localhost /etc/hosts; grep -c elsewhere /etc/hosts; {show}\n"
        );
        // The texts differ, so that each runs.
        let steps: String = (0..4).map(|step| format!("ENV step={step}\n{changing}{looking}")).collect();
        let built = run(order(&format!("FROM busybox\n{steps}")).run(engine.socket()));
        built.result.as_ref().expect("a build");
        let changed = "1\n/etc/hosts 600 0:0\n/etc/resolv.conf 644 7:8\n/etc/hostname 644 0:0\n";
        let plain = "2\n0\n/etc/hosts 644 0:0\n/etc/resolv.conf 644 0:0\n/etc/hostname 644 0:0\n";
        assert_eq!(built.output(), format!("{changed}{plain}").repeat(4));
    }
    engine.forget_builds();
}
