//! Builds with a fake runner: streams, configurations, cache, failures.

mod arguments;
mod both_orders;
mod buildkit;
mod caching;
mod graph;
mod hostile;
mod lending;
mod refusals;
mod removals;
mod today;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, context};
use crate::{BuildError, Intermediate};

#[test]
fn streams_are_those_that_clients_know() {
    let fixture = Fixture::new();
    for (rest, want) in [
        ("RUN echo hi", "Step 1 : RUN echo hi\n~ hi\n-> RM OK"),
        ("RUN echo hi", "Step 1 : RUN echo hi\n ---> Using cache\n-> OK"),
        (
            "RUN echo out; echo err >&2",
            "Step 1 : RUN echo out; echo err >&2\n~ out\n\u{1b}[91merr\n\u{1b}[0m-> RM OK",
        ),
        ("RUN [\"x\",\"echo hi\"]", "Step 1 : RUN x echo hi\n~ hi\n-> RM OK"),
        ("ENV a=b c=d", "Step 1 : ENV a b c d\n~ -> RM OK"),
        ("CMD", "Step 1 : CMD \n~ -> RM OK"),
        ("FROM base", "Step 1 : FROM base\n-> OK"),
        ("FROM scratch\nLABEL a=b", "Step 1 : FROM scratch\n ---> \nStep 2 : LABEL a b\n~ -> RM OK"),
        (
            "FROM scratch",
            "Step 1 : FROM scratch\n ---> \nERROR No image was generated. Is your Dockerfile empty?",
        ),
        (
            "FROM nosuch",
            "Step 1 : FROM nosuch\nSTATUS Pulling nosuch:latest ERROR Error: image nosuch:latest not found",
        ),
        (
            "RUN exit 7",
            "Step 1 : RUN exit 7\n~ ERROR The command '/bin/sh -c exit 7' returned a non-zero code: 7",
        ),
        (
            "RUN [\"x\",\"exit 3\"]",
            "Step 1 : RUN x exit 3\n~ ERROR The command 'x exit 3' returned a non-zero code: 3",
        ),
        ("RUN fail", "Step 1 : RUN fail\n~ ERROR [8] System error: no such file or directory"),
        ("COPY missing /x", "Step 1 : COPY missing /x\nERROR missing: no such file or directory"),
        ("COPY *.nope /w/", "Step 1 : COPY *.nope /w/\nERROR No source files were specified"),
        (
            "COPY ../etc/passwd /x",
            "Step 1 : COPY ../etc/passwd /x\nERROR ../etc/passwd: no such file or directory",
        ),
        ("COPY Dockerfile /D", "Step 1 : COPY Dockerfile /D\n-> RM OK"),
    ] {
        assert_eq!(fixture.stream(rest), want, "{rest}");
    }
}

#[test]
fn failing_files_fail_before_any_event() {
    let fixture = Fixture::new();
    for (text, want) in [
        ("FROM base\nRUN echo never\nFOO x", "Unknown instruction: FOO"),
        ("", "The Dockerfile (Dockerfile) cannot be empty"),
        ("RUN x", "Please provide a source image with `from` prior to run"),
    ] {
        let built = fixture.build(context(text));
        assert_eq!(built.result.unwrap_err().to_string(), want);
        assert_eq!(built.text, "");
    }
    assert_eq!(fixture.runner.runs.load(Ordering::Relaxed), 0);
}

#[test]
fn configurations_and_histories() {
    let fixture = Fixture::new();
    let image = fixture.image(context(
        "FROM base\nENV x=1\nENV a=$x b=${y:-def} x=2\nLABEL k=$x \"c d\"=\"e f\"\nEXPOSE 80 53/udp 443/tcp\n\
         WORKDIR /a\nWORKDIR b$nope\nUSER ${x}00\nVOLUME /v $a\nMAINTAINER Jane <j@x.org>\nCMD echo $x\n\
         ENTRYPOINT [\"e\"]\nSTOPSIGNAL SIGINT\nHEALTHCHECK --retries=2 CMD true\nSHELL [\"/bin/bash\",\"-c\"]\n\
         CMD y\nONBUILD RUN z",
    ));
    let config = image.config.config.clone().unwrap();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(config.env.unwrap(), [path, "x=2", "a=1", "b=def"]);
    let labels: Vec<_> = config.labels.unwrap().into_iter().collect();
    assert_eq!(labels, [("c d".into(), "e f".into()), ("k".into(), "2".into())]);
    assert_eq!(config.exposed_ports.unwrap().keys().collect::<Vec<_>>(), ["443/tcp", "53/udp", "80/tcp"]);
    assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/a/b", "200"));
    assert_eq!(config.volumes.unwrap().keys().collect::<Vec<_>>(), ["/v", "1"]);
    assert_eq!(config.cmd.unwrap().0, ["/bin/bash", "-c", "y"]);
    assert_eq!(config.entrypoint.unwrap().0, ["e"]);
    assert_eq!(config.on_build.unwrap(), ["RUN z"]);
    assert_eq!(config.stop_signal, "SIGINT");
    assert_eq!(config.healthcheck.unwrap().retries, 2);
    assert_eq!(config.image, image.parent.unwrap().hexadecimal());
    assert_eq!(image.config.author, "Jane <j@x.org>");
    let container = image.config.container_config.clone().unwrap();
    assert_eq!(container.cmd.unwrap().0, ["/bin/sh", "-c", "#(nop) ONBUILD RUN z"]);
    assert_eq!(container.hostname, image.config.container[..12]);
    let history: Vec<_> =
        image.config.history.iter().skip(1).map(|entry| entry.created_by.as_str()).collect();
    let comments = [
        "ENV x=1",
        "ENV a=1 b=def x=2",
        "LABEL k=2 c d=e f",
        "EXPOSE 443/tcp 53/udp 80/tcp",
        "WORKDIR /a",
        "WORKDIR /a/b",
        "USER [200]",
        "VOLUME [/v 1]",
        "MAINTAINER Jane <j@x.org>",
        "CMD [\"/bin/sh\" \"-c\" \"echo $x\"]",
        "ENTRYPOINT [\"e\"]",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK --retries=2 CMD true",
        "SHELL [/bin/bash -c]",
        "CMD [\"/bin/bash\" \"-c\" \"y\"]",
        "ONBUILD RUN z",
    ];
    assert_eq!(history, comments.map(|comment| format!("/bin/sh -c #(nop) {comment}")));
}

#[test]
fn every_step_is_an_image_on_the_one_before() {
    let fixture = Fixture::new();
    let image = fixture.image(context("FROM base\nRUN echo x > /x\nENV a b\nCMD c"));
    let mut chain = vec![image.config.history.last().unwrap().created_by.clone()];
    let mut parent = image.parent;
    while let Some(id) = parent {
        let image = fixture.store.image(&id).unwrap();
        chain.push(image.config.history.last().unwrap().created_by.clone());
        parent = image.parent;
    }
    assert_eq!(chain[1..3], ["/bin/sh -c #(nop) ENV a=b", "/bin/sh -c echo x > /x"]);
    assert_eq!(chain.len(), 4);
    assert_eq!(image.config.rootfs.diff_ids.len(), 2);
    assert_eq!(fixture.read(&image, "x"), "x\n");
    let empty: Vec<_> = image.config.history.iter().map(|entry| entry.empty_layer).collect();
    assert_eq!(empty, [false, false, true, true]);
}

#[test]
fn entrypoint_clears_an_inherited_command_only() {
    let fixture = Fixture::new();
    fixture.build_with(context("FROM base\nCMD [\"c\"]"), |request| {
        request.names = vec![model::ImageReference::parse("parent").unwrap()];
    });
    let config = |text: &str| fixture.image(context(text)).config.config.unwrap();
    assert_eq!(config("FROM parent\nENTRYPOINT [\"e\"]").cmd, None);
    assert_eq!(config("FROM parent\nCMD [\"own\"]\nENTRYPOINT [\"e\"]").cmd.unwrap().0, ["own"]);
}

#[test]
fn containers_are_removed_or_kept() {
    let fixture = Fixture::new();
    let mut alive = 0;
    for (intermediate, command, want, text) in [
        (Intermediate::RemoveOnSuccess, "RUN echo 1", 0, "~ 1\n-> RM OK"),
        (Intermediate::Keep, "RUN echo 2", 1, "~ 2\n-> OK"),
        (Intermediate::Remove, "RUN exit 3", 0, "~ RM "),
        (Intermediate::RemoveOnSuccess, "RUN exit 4", 1, "~ "),
        (Intermediate::Keep, "RUN exit 5", 1, "~ "),
    ] {
        let built = fixture.build_with(context(&format!("FROM base\n{command}")), |request| {
            request.intermediate = intermediate
        });
        assert!(built.text.ends_with(text), "{command}: {:?}", built.text);
        let before = alive;
        alive = fixture.runner.alive.lock().unwrap().len();
        assert_eq!(alive - before, want, "{command}");
    }
}

#[test]
fn kept_containers_keep_their_files() {
    let fixture = Fixture::new();
    let built = fixture.build_with(context("FROM base\nRUN echo x > /x"), |request| {
        request.intermediate = Intermediate::Keep;
    });
    let image = fixture.store.image(&built.result.unwrap()).unwrap();
    assert_eq!(fixture.read(&image, "x"), "x\n");
    let container = fixture.runner.alive.lock().unwrap().keys().next().unwrap().clone();
    let upper = fixture.temporary.join("containers").join(container.as_str());
    assert_eq!(std::fs::read_to_string(upper.join("x")).unwrap(), "x\n");
}

#[test]
fn triggers_run_in_the_child_only() {
    let fixture = Fixture::new();
    let named = |name: &'static str| {
        move |request: &mut crate::BuildRequest| {
            request.names = vec![model::ImageReference::parse(name).unwrap()]
        }
    };
    let base = "FROM base\nONBUILD RUN echo trig\nONBUILD COPY f /f\nONBUILD LABEL x=y";
    fixture.build_with(context(base), named("onb")).result.unwrap();
    let child = fixture.build_with(context("FROM onb\nRUN echo own").file("f", "1"), named("child"));
    let start = "Step 0 : FROM onb\n\u{1b}[91m# Executing 3 build triggers\n\u{1b}[0m";
    assert_eq!(
        child.text,
        format!(
            "{start}Trigger 0, RUN echo trig\nStep 0 : RUN echo trig\n~ trig\nTrigger 1, COPY f /f\n\
             Step 0 : COPY f /f\nTrigger 2, LABEL x=y\nStep 0 : LABEL x y\n~ -> RM RM RM \
             Step 1 : RUN echo own\n~ own\n-> RM OK"
        )
    );
    let config = fixture.store.image(&child.result.unwrap()).unwrap().config.config.unwrap();
    assert_eq!(config.on_build, Some(Vec::new()));
    let again = fixture.build(context("FROM onb").file("f", "1"));
    assert_eq!(
        again.text,
        format!(
            "{start}Trigger 0, RUN echo trig\nStep 0 : RUN echo trig\n ---> Using cache\nTrigger 1, COPY f /f\n\
             Step 0 : COPY f /f\n ---> Using cache\nTrigger 2, LABEL x=y\nStep 0 : LABEL x y\n ---> Using cache\n-> OK"
        )
    );
    assert_eq!(fixture.build(context("FROM child")).text, "Step 0 : FROM child\n-> OK");
    let missing = fixture.build(context("FROM onb"));
    assert_eq!(missing.result.unwrap_err().to_string(), "f: no such file or directory");
}

#[test]
fn arguments_come_from_the_request_and_count_for_the_cache() {
    let fixture = Fixture::new();
    let text = "ARG tag=base\nFROM $tag\nARG a=1\nARG b\nRUN echo x\nENV a=$a$b";
    let build = |given: &[(&str, &str)]| {
        let given =
            given.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        fixture.build_with(context(text), |request| request.build_arguments = given)
    };
    let first = build(&[]);
    let image = fixture.store.image(&first.result.unwrap()).unwrap();
    assert_eq!(image.config.config.unwrap().env.unwrap()[1], "a=1");
    let history = &image.config.history;
    assert_eq!(history[history.len() - 2].created_by, "|1 a=1 /bin/sh -c echo x");
    let other = build(&[("a", "2"), ("b", "3"), ("http_proxy", "p"), ("idle", "x")]);
    assert!(
        other.text.contains("[Warning] One or more build-args [idle] were not consumed\n"),
        "{}",
        other.text
    );
    assert_eq!(other.text.matches("Using cache").count(), 2, "{}", other.text);
    let image = fixture.store.image(&other.result.unwrap()).unwrap();
    assert_eq!(image.config.config.unwrap().env.unwrap()[1], "a=23");
    let created = fixture.runner.created.lock().unwrap();
    let env = created.last().unwrap().1.config.env.clone().unwrap();
    assert_eq!(env[1..], ["a=2", "b=3", "http_proxy=p"]);
    drop(created);
    assert_eq!(build(&[("a", "2"), ("b", "3")]).text.matches("Using cache").count(), 4);
    let other_base = build(&[("tag", "nosuch")]);
    assert!(other_base.text.contains("Pulling nosuch"), "{}", other_base.text);
}

#[test]
fn stages_copy_from_each_other() {
    let fixture = Fixture::new();
    let text = "FROM base AS one\nRUN mkdir /d; echo 1 > /d/f; ln /d/f /abs\n\
                FROM scratch\nCOPY --from=one /d /got\nCOPY --from=0 /abs /linked\nCOPY --from=base etc/passwd /p\n\
                FROM one AS last\nLABEL x=y";
    let build = |target: Option<&str>| {
        fixture.build_with(context(text), |request| request.target = target.map(str::to_owned))
    };
    let second = build(Some("1"));
    let image = fixture.store.image(&second.result.unwrap()).unwrap();
    let names: Vec<_> =
        fixture.files(&image).into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["got/", "got/f", "linked", "p"]);
    assert_eq!(fixture.read(&image, "linked"), "1\n");
    assert!(build(Some("ONE")).result.is_ok());
    let last = build(None);
    assert!(last.text.contains("Step 6 : FROM one AS last\n-> "), "{}", last.text);
    let labels = fixture.store.image(&last.result.unwrap()).unwrap().config.config.unwrap().labels.unwrap();
    assert_eq!(labels.len(), 1);
    let missing = build(Some("nosuch")).result.unwrap_err().to_string();
    assert_eq!(missing, "failed to reach build target nosuch in Dockerfile");
    let later = fixture.build(context("FROM base\nCOPY --from=5 a b"));
    assert!(matches!(later.result, Err(BuildError::LaterStage { .. })));
}

#[test]
fn images_are_pulled_when_missing_or_asked_for() {
    let fixture = Fixture::new();
    *fixture.puller.image.lock().unwrap() = Some(fixture.store.resolve_id("base").unwrap());
    assert!(fixture.build(context("FROM other:1")).result.is_ok());
    assert!(fixture.build_with(context("FROM base"), |request| request.pull = true).result.is_ok());
    let id = fixture.store.resolve_id("base").unwrap().hexadecimal();
    for name in [&id, &id[..12]] {
        let built = fixture.build_with(context(&format!("FROM {name}")), |request| request.pull = true);
        assert!(built.result.is_ok());
    }
    // A name that an id begins with is a name all the same.
    let reference = model::ImageReference::parse(&id[..1]).unwrap();
    let base = fixture.store.resolve_id("base").unwrap();
    fixture.store.tag(&base, &reference, images::TagPolicy::Keep).unwrap();
    let from = context(&format!("FROM {}", &id[..1]));
    assert!(fixture.build_with(from, |request| request.pull = true).result.is_ok());
    let short = format!("{}:latest", &id[..1]);
    assert_eq!(*fixture.puller.asked.lock().unwrap(), ["other:1", "base:latest", &short]);
}

#[test]
fn requests_name_label_and_limit() {
    let fixture = Fixture::new();
    let built = fixture.build_with(context("FROM base\nRUN echo limits"), |request| {
        request.names = ["a", "b:c"].map(|name| model::ImageReference::parse(name).unwrap()).to_vec();
        request.labels = [("k".to_owned(), "v $x 'q'".to_owned())].into();
        request.host.resources.memory = 64 << 20;
    });
    assert_eq!(
        built.text,
        "Step 0 : FROM base\n-> Step 1 : RUN echo limits\n ---> [Warning] memory is left off\n~ limits\n-> RM Step 2 : LABEL k v $x 'q'\n~ -> RM OK"
    );
    let id = built.result.unwrap();
    assert_eq!(fixture.store.tags_of(&id), ["a:latest", "b:c"]);
    let labels = fixture.store.image(&id).unwrap().config.config.unwrap().labels.unwrap();
    assert_eq!(labels["k"], "v $x 'q'");
    assert_eq!(fixture.runner.created.lock().unwrap()[0].1.host.resources.memory, 64 << 20);
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    let fixture = Fixture::new();
    let started = Instant::now();
    let built = std::thread::scope(|scope| {
        scope.spawn(|| {
            while fixture.runner.runs.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            fixture.cancellation.cancel();
        });
        fixture.build(context("FROM base\nRUN wait\nRUN echo never"))
    });
    assert!(matches!(built.result, Err(BuildError::Cancelled)), "{:?}", built.result);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(fixture.runner.alive.lock().unwrap().is_empty());
    assert_eq!(fixture.runner.runs.load(Ordering::Relaxed), 1);
}
