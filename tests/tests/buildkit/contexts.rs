//! Contexts: the parts that are requested from the client, their excludes, and their names.

use berth_tests::Engine;

use crate::client::{Order, Outcome, run};
use crate::offers::{Offer, Offers};

/// A client with a further directory, for a context.
fn with_directory(dockerfile: &str, name: &str, files: &[(&str, &[u8])]) -> Offers {
    let mut offers = Offers::of(dockerfile, &[("src/f", b"src"), ("own", b"own"), ("unread", b"")]);
    offers.directories.insert(name.to_owned(), Offer::of(files));
    offers
}

fn build(engine: &Engine, order: Order) -> Outcome {
    let built = run(order.run(engine.socket()));
    built.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}: {}", built.output()));
    built
}

#[test]
fn ignore_files_of_contexts_with_names_are_obeyed() {
    let engine = Engine::start();
    let files: &[(&str, &[u8])] = &[
        (".dockerignore", b"secret\nd/*\n!d/kept\n"),
        ("d/kept", b""),
        ("d/left", b""),
        ("keep", b""),
        ("secret", b"s"),
    ];
    let offers = with_directory("FROM busybox\nCOPY --from=other / /o/\n", "other-1", files);
    let built = build(&engine, Order::of(offers, "x").option("context:other", "local:other-1"));
    assert_eq!(
        engine.output_of("x", "cd /o && find . -type f | sort"),
        "./.dockerignore\n./d/kept\n./keep\n"
    );
    assert_eq!(built.step("[context other] load .dockerignore"), "done");
    assert!(!built.received.asked.iter().any(|path| path == "secret"), "{:?}", built.received.asked);
    engine.forget_builds();
}

#[test]
fn quoted_sources_are_asked_for_without_their_quotes() {
    let engine = Engine::start();
    for (number, dockerfile) in [
        "FROM busybox\nCOPY \"own\" 's'rc/\"f\" /to/\n",
        "FROM busybox\nADD ow\\n \"./src/f\" /to/\n",
        "# escape=`\nFROM busybox\nADD ow`n \"src/f\" /to/\n",
        "FROM busybox\nRUN --mount=type=bind,\"source=own\",target=/own --mount=type=bind,source=src,target=/src \\\n\
         mkdir /to && cp /own /src/f /to\n",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("quoted-{number}");
        let built = build(&engine, Order::of(with_directory(dockerfile, "unused", &[]), &name));
        assert_eq!(engine.output_of(&name, "cat /to/own /to/f"), "ownsrc", "{dockerfile}");
        assert!(!built.received.asked.iter().any(|path| path == "unread"), "{:?}", built.received.asked);
    }
    engine.forget_builds();
}

#[test]
fn triggers_read_what_no_instruction_names() {
    let engine = Engine::start();
    let base = "FROM busybox\nONBUILD COPY src /src\nONBUILD RUN --mount=source=own,target=/m cat /m\n";
    build(&engine, Order::of(with_directory(base, "unused", &[]), "onb"));
    for (name, dockerfile) in [
        ("child", "FROM onb\nCOPY own /own\n"),
        ("other", "FROM busybox AS first\nCOPY own /own\nFROM onb\nCOPY --from=first /own /own\n"),
    ] {
        let built = build(&engine, Order::of(with_directory(dockerfile, "unused", &[]), name));
        assert_eq!(engine.output_of(name, "cat /src/f /own"), "srcown");
        assert!(!built.received.asked.iter().any(|path| path == "unread"), "{:?}", built.received.asked);
    }
    engine.forget_builds();
}

/// The variable of a mount is substituted when the step runs: until then its stage is not among the needed
/// ones.
#[test]
fn stages_that_a_step_turns_out_to_need_are_shown() {
    let engine = Engine::start();
    let dockerfile = |end: &str| {
        format!(
            "FROM busybox AS late\nCOPY src /src\nRUN echo of-late; {end}\n\
             FROM busybox\nARG S=late\nCOPY own /own\nRUN --mount=type=bind,from=$S,target=/m cat /m/src/f\n"
        )
    };
    let built = build(&engine, Order::of(with_directory(&dockerfile("true"), "unused", &[]), "x"));
    assert_eq!(built.step("[late 3/3] RUN echo of-late; true"), "done");
    assert!(built.output().contains("of-late\n"), "{}", built.output());
    assert!(built.output().contains("src"), "{}", built.output());
    let order = Order::of(with_directory(&dockerfile("exit 4"), "unused", &[]), "x");
    let failed = run(order.run(engine.socket()));
    let text = "process \"/bin/sh -c echo of-late; exit 4\" did not complete successfully: exit code: 4";
    assert_eq!(failed.failure().1, text);
    assert_eq!(failed.step("[late 3/3] RUN echo of-late; exit 4"), text);
    engine.forget_builds();
}

#[test]
fn a_context_has_all_the_names_of_its_image() {
    let engine = Engine::start();
    for (number, (given, written)) in [
        ("alpine", "alpine:latest"),
        ("alpine:latest", "alpine"),
        ("docker.io/library/alpine", "alpine"),
        ("alpine", "docker.io/library/alpine:latest"),
        ("127.0.0.1:1/a", "127.0.0.1:1/a:latest"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("named-{number}");
        let dockerfile =
            format!("FROM {written} AS one\nFROM busybox\nCOPY --from={written} /etc/group /g\n");
        let offers = Offers::of(&dockerfile, &[]);
        let order = Order::of(offers, &name).option(&format!("context:{given}"), "docker-image://busybox");
        build(&engine, order);
        let dockerfile = format!("FROM {written}\nLABEL number={number}\n");
        let order = Order::of(Offers::of(&dockerfile, &[]), &name);
        build(&engine, order.option(&format!("context:{given}"), "docker-image://busybox"));
    }
    engine.forget_builds();
}

#[test]
fn contexts_of_several_platforms_are_those_of_the_platform() {
    let engine = Engine::start();
    let dockerfile = "FROM scratch\nCOPY --from=base f /\n";
    for (platform, want) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64"), ("linux/s390x", "any")] {
        let mut offers = with_directory(dockerfile, "of-amd64", &[("f", b"amd64")]);
        offers.directories.insert("of-arm64".to_owned(), Offer::of(&[("f", b"arm64")]));
        offers.directories.insert("of-any".to_owned(), Offer::of(&[("f", b"any")]));
        let order = Order::of(offers, "x")
            .option("platform", platform)
            .option("context:base::linux/amd64", "local:of-amd64")
            .option("context:base::linux/arm64", "local:of-arm64")
            .option("context:base", "local:of-any")
            .exporters(&[("local", &[])]);
        let built = build(&engine, order);
        let content = &built.received.directory.first().expect("a file").1;
        assert_eq!(String::from_utf8_lossy(content), want, "{platform}");
    }
    engine.forget_builds();
}
