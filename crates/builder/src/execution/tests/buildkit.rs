//! The effects of instructions in graphs, where they differ from classic builds.

use images::Image;
use images::document::Config;

use crate::Order;
use crate::fixture::{Archive, Built, Fixture, context};

fn build(fixture: &Fixture, archive: Archive) -> Built {
    fixture.build_with(archive, |request| request.order = Order::Graph)
}

pub(super) fn image(fixture: &Fixture, archive: Archive) -> Image {
    let built = build(fixture, archive);
    fixture.store.image(&built.result.unwrap_or_else(|error| panic!("{error}"))).expect("an image")
}

fn failure(fixture: &Fixture, archive: Archive) -> String {
    build(fixture, archive).result.expect_err("a failure").to_string()
}

pub(super) fn history(image: &Image) -> Vec<&str> {
    let made_here = image.config.history.iter().filter(|entry| entry.comment == "buildkit.dockerfile.v0");
    made_here.map(|entry| entry.created_by.as_str()).collect()
}

pub(super) fn config(image: &Image) -> Config {
    image.config.config.clone().expect("a configuration")
}

/// The variables of the container that was made last.
pub(super) fn last_variables(fixture: &Fixture) -> Vec<String> {
    let created = fixture.runner.created.lock().expect("a lock");
    created.last().expect("a container").1.config.env.clone().unwrap_or_default()
}

#[test]
fn histories_are_those_of_buildkit() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nARG x=abc\nARG e\nARG x\nENV S=f B=\"two words\"\nLABEL \"m n\"=\"o p\"\n\
        EXPOSE 80 53/udp 80/tcp\nEXPOSE 90\nVOLUME [\"/a b\"]\nUSER alice\nWORKDIR /w/sub\nWORKDIR /tmp\nWORKDIR /\n\
        RUN echo a > /e\nRUN [\"echo\", \"a b\"]\nCOPY --chown=1:2 $S nope* /abc/\nSTOPSIGNAL SIGUSR1\n\
        HEALTHCHECK --interval=90s --retries=65 CMD a b\nONBUILD RUN x\nSHELL [\"/bin/sh\", \"-ec\"]\n\
        CMD a\nENTRYPOINT [\"e\", \"f\"]\nMAINTAINER me\nCOPY <<EOT /doc\ntext\nEOT\nRUN echo b\n";
    let archive = || context(dockerfile).file("f", "1");
    let built = fixture.build_with(archive(), |request| {
        request.order = Order::Graph;
        request.labels.insert("c".to_owned(), "4".to_owned());
    });
    let made = fixture.store.image(&built.result.expect("an image")).expect("an image");
    let want = [
        "ARG x=abc",
        "ARG e",
        "ARG x",
        "ENV S=f B=two words",
        "LABEL m n=o p",
        "EXPOSE [53/udp 80/tcp 80/tcp]",
        "EXPOSE [90/tcp]",
        "VOLUME [/a b]",
        "USER alice",
        "WORKDIR /w/sub",
        "WORKDIR /tmp",
        "WORKDIR /",
        "RUN |2 x=abc e= /bin/sh -c echo a > /e # buildkit",
        "RUN |2 x=abc e= echo a b # buildkit",
        "COPY --chown=1:2 f nope* /abc/ # buildkit",
        "STOPSIGNAL SIGUSR1",
        "HEALTHCHECK {Test:[CMD-SHELL a b] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:65}",
        "SHELL [/bin/sh -ec]",
        r#"CMD ["/bin/sh" "-ec" "a"]"#,
        r#"ENTRYPOINT ["e" "f"]"#,
        "MAINTAINER me",
        "COPY <<EOT /doc # buildkit",
        "RUN |2 x=abc e= /bin/sh -ec echo b # buildkit",
    ];
    assert_eq!(history(&made), want);
    let config = config(&made);
    assert_eq!((config.args_escaped, config.image.as_str()), (true, ""));
    assert_eq!(config.labels.expect("labels")["c"], "4", "of the request, and not in the history");
    assert_eq!(config.on_build.expect("triggers"), ["RUN x"]);
    let document = &made.config;
    assert_eq!((document.comment.as_str(), document.docker_version.as_str()), ("", ""));
    assert!(document.history.iter().skip(1).all(|entry| entry.comment == "buildkit.dockerfile.v0"));
    let layers = document.history.iter().filter(|entry| !entry.empty_layer).count();
    assert_eq!(layers, document.rootfs.diff_ids.len());
    assert_eq!(layers, 1 + 2 + 2 + 1 + 2, "each WORKDIR but the root has one");
    let again = fixture.build_with(archive(), |request| {
        request.order = Order::Graph;
        request.labels.insert("c".to_owned(), "4".to_owned());
    });
    assert_eq!(again.result.expect("an image"), made.id, "all of it is found again");
    let classic = fixture.image(context("FROM base\nCMD a\n"));
    assert_eq!(
        classic.config.history.last().expect("a step").created_by,
        "/bin/sh -c #(nop) CMD [\"/bin/sh\" \"-c\" \"a\"]"
    );
    assert!(!classic.config.config.expect("a configuration").args_escaped);
}

#[test]
fn commands_without_words_are_the_shells() {
    let fixture = Fixture::new();
    let made = image(&fixture, context("FROM base\nENTRYPOINT [\"e\"]\nCMD\n"));
    assert_eq!(history(&made)[1..], [r#"CMD ["/bin/sh" "-c" ""]"#]);
    let made = image(&fixture, context("FROM base\nENTRYPOINT\n"));
    assert_eq!(config(&made).entrypoint.expect("words").0, ["/bin/sh", "-c", ""]);
}

#[test]
fn new_directories_have_the_permissions_of_a_copy_in_digits() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nCOPY --chmod=4640 --chown=3:4 f /a/b/\nCOPY --chmod=700 g /c/d/\nCOPY --chmod=u=rw f /e/\n\
        COPY --link --chmod=604 f /l/\nCOPY --chmod=600 <<EOT /h/\ntext\nEOT\nCOPY --chmod=0 f /tmp/\n";
    let made = image(&fixture, context(dockerfile).file("f", "1").directory("g/").file("g/x", "2"));
    let files = fixture.files(&made);
    for want in [
        "a/ 640 3:4",
        "a/b/ 640 3:4",
        "a/b/f 4640 3:4 1 2015",
        "c/ 700 0:0",
        "c/d/ 700 0:0 2015",
        "e/ 755 0:0",
        "l/ 604 0:0",
        "h/ 600 0:0",
    ] {
        assert!(files.contains(&want.to_owned()), "{want}: {files:?}");
    }
    assert!(files.iter().any(|line| line.starts_with("tmp/ 1777")), "what is there stays: {files:?}");
}

#[test]
fn steps_of_one_way_are_none_of_the_other() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nWORKDIR /tmp\nRUN echo a > /a\n";
    let classic = fixture.image(context(dockerfile));
    let graph = image(&fixture, context(dockerfile));
    assert_ne!(classic.id, graph.id);
    assert_eq!(history(&graph).len(), 2);
    assert_eq!(fixture.image(context(dockerfile)).id, classic.id);
    assert_eq!(history(&classic), [""; 0]);
}

#[test]
fn workdir_belongs_to_the_user() {
    let fixture = Fixture::new();
    let made = image(
        &fixture,
        context(
            "FROM base\nUSER alice:staff\nWORKDIR /w/sub\nUSER bob\nWORKDIR /b\nUSER nosuch\nWORKDIR /n\nUSER 5\nWORKDIR /five\n",
        ),
    );
    let files = fixture.files(&made);
    let owner = |path: &str| {
        let line = files.iter().find(|line| line.starts_with(&format!("{path}/ ")));
        line.unwrap_or_else(|| panic!("no {path} in {files:?}")).clone()
    };
    for (path, want) in [("w", "1000:50"), ("w/sub", "1000:50"), ("b", "7:8"), ("n", "0:0"), ("five", "5:5")]
    {
        assert_eq!(owner(path), format!("{path}/ 755 {want}"));
    }
    let classic = fixture.build_with(context("FROM base\nUSER alice\nWORKDIR /w\n"), |request| {
        request.wording = crate::Wording::Today;
    });
    let classic = fixture.store.image(&classic.result.expect("an image")).expect("an image");
    let files = fixture.files(&classic);
    assert!(files.contains(&"w/ 755 0:0".to_owned()), "{files:?}");
}

#[test]
fn steps_see_proxies_in_both_spellings_and_the_name_of_the_sandbox() {
    let fixture = Fixture::new();
    let built = fixture.build_with(context("FROM base\nRUN true\n"), |request| {
        request.order = Order::Graph;
        let given = [("HTTP_PROXY", "http://p"), ("no_proxy", "a"), ("NO_PROXY", "B")];
        request.build_arguments =
            given.into_iter().map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).collect();
    });
    built.result.expect("an image");
    let variables = last_variables(&fixture);
    for variable in ["HTTP_PROXY=http://p", "http_proxy=http://p", "no_proxy=a", "NO_PROXY=B", "HOSTNAME"] {
        assert!(variables.contains(&variable.to_owned()), "{variable} is not in {variables:?}");
    }
    let hostname =
        || fixture.runner.created.lock().expect("a lock").last().expect("a step").1.config.hostname.clone();
    assert_eq!(hostname(), "buildkitsandbox");
    let built = fixture.build_with(context("FROM base\nRUN false;\n"), |request| {
        request.order = Order::Graph;
        request.build_arguments.insert("BUILDKIT_SANDBOX_HOSTNAME".to_owned(), Some("own".to_owned()));
    });
    built.result.expect("an image");
    assert_eq!(hostname(), "own");
}

#[test]
fn the_network_of_the_host_must_be_allowed() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nRUN --network=host true\n";
    assert!(failure(&fixture, context(dockerfile)).starts_with("network.host is not allowed"));
    assert!(fixture.build(context(dockerfile)).result.is_err(), "nor for classic builds");
    let allowed = fixture.build_with(context(dockerfile), |request| {
        request.order = Order::Graph;
        request.allows_host_network = true;
    });
    allowed.result.expect("an image");
    let own = fixture.build_with(context(dockerfile), |request| {
        request.host.network_mode = model::NetworkMode::Host;
    });
    own.result.expect("an image");
}

#[test]
fn neither_directories_nor_files_give_way_to_the_other() {
    let fixture = Fixture::new();
    let below = "FROM base\nCOPY below /d/\n";
    let archive = |last: &str| {
        context(&format!("{below}{last}\n"))
            .file("below/x/in", "1")
            .file("below/y", "2")
            .file("files/x", "3")
            .file("directories/y/in", "4")
    };
    assert_eq!(failure(&fixture, archive("COPY files /d")), "cannot replace directory /d/x with a file");
    assert_eq!(failure(&fixture, archive("COPY directories /d")), "cannot copy to non-directory: /d/y");
    let made = image(&fixture, archive("COPY files/x /d/y"));
    assert_eq!(fixture.read(&made, "d/y"), "3");
    let classic = fixture.image(archive("COPY files /d"));
    assert_eq!(fixture.read(&classic, "d/x"), "3");
}

#[test]
fn nothing_is_made_beneath_a_file() {
    let fixture = Fixture::new();
    let archive = |last: &str| {
        context(&format!("FROM scratch\nCOPY one /file\n{last}\n")).file("one", "1").file("d/in", "2")
    };
    for (last, words) in [
        ("COPY d /file/x/", "lstat /file/x: not a directory"),
        ("COPY d /file/x", "lstat /file/x: not a directory"),
        ("COPY d /file", "cannot copy to non-directory: /file"),
        ("COPY one /file/x", "mkdir /file: not a directory"),
        ("COPY one /file/", "mkdir /file: not a directory"),
        ("WORKDIR /file/x", "lstat /file/x: not a directory"),
        ("WORKDIR /file", "mkdir /file: not a directory"),
    ] {
        assert_eq!(failure(&fixture, archive(last)), words, "{last}");
    }
}

#[test]
fn patterns_may_match_nothing_or_several_files_in_one_place() {
    let fixture = Fixture::new();
    let archive = |line: &str| context(&format!("FROM base\n{line}\n")).file("f1", "1").file("f2", "2");
    let made = image(&fixture, archive("COPY nope* /x/"));
    assert_eq!(fixture.top_layer(&made), [""; 0]);
    let made = image(&fixture, archive("COPY f* /one"));
    assert_eq!(fixture.read(&made, "one"), "2");
    assert!(failure(&fixture, archive("COPY nope /x/")).contains("nope: no such file"));
    let refused = fixture.build(archive("COPY nope* /x/")).result.expect_err("a refusal");
    assert_eq!(refused.to_string(), "No source files were specified");
}

#[test]
fn files_that_a_pattern_matches_are_copied_each_for_itself() {
    use std::os::unix::fs::MetadataExt;
    let fixture = Fixture::new();
    let archive = |rest: &str| {
        context(&format!("FROM base AS s\nCOPY o /o\nFROM base\n{rest}\n"))
            .file("o/a", "1")
            .symlink("o/l", "a")
            .hard_link("o/hard", "o/a")
    };
    let links = |image: &Image, path: &str| {
        let layer = fixture.store.lower_directories(image)[0].join(path);
        layer.metadata().expect("a file").nlink()
    };
    let made = image(&fixture, archive("COPY --from=s /o/* /c/"));
    assert_eq!(["c/a", "c/hard", "c/l"].map(|path| links(&made, path)), [1, 1, 1]);
    let whole = image(&fixture, archive("COPY --from=s /o /c/"));
    assert_eq!(["c/a", "c/hard"].map(|path| links(&whole, path)), [2, 2], "one directory keeps its links");
}

#[test]
fn an_empty_stage_has_a_path_and_a_directory() {
    let fixture = Fixture::new();
    let archive = || context("FROM scratch\nCOPY f /\nENV A=b\n").file("f", "1");
    let made = config(&image(&fixture, archive()));
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(made.env.expect("variables"), [path, "A=b"]);
    assert_eq!(made.working_dir, "/");
    assert_eq!(config(&fixture.image(archive())).env.expect("variables"), ["A=b"]);
}

#[test]
fn names_of_stages_are_no_images() {
    let fixture = Fixture::new();
    let own = failure(&fixture, context("FROM base AS me\nCOPY --from=me /etc/passwd /x\n"));
    assert_eq!(own, "circular dependency detected on stage: me");
    let later = "FROM base AS me\nCOPY --from=later /etc/passwd /x\nFROM base AS later\nFROM me\n";
    assert_eq!(
        failure(&fixture, context(later)),
        "invalid from flag value later: the stage is not built before this one"
    );
    assert!(fixture.puller.asked.lock().expect("a lock").is_empty());
}

#[test]
fn what_only_the_configuration_says_runs_nothing_again() {
    use std::sync::atomic::Ordering;
    let fixture = Fixture::new();
    let build_with = |above: &str| {
        let dockerfile =
            format!("FROM base\n{above}\nCOPY f /f\nWORKDIR /w\nRUN echo a > /a\nLABEL last=1\n");
        let made = image(&fixture, context(&dockerfile).file("f", "1"));
        (made.config.rootfs.diff_ids.clone(), fixture.runner.runs.load(Ordering::Relaxed))
    };
    let (layers, runs) = build_with("LABEL x=1");
    assert_eq!((build_with("CMD [\"x\"]\nLABEL x=2\nEXPOSE 80"), runs), ((layers.clone(), 1), 1));
    assert_eq!(build_with("ENV A=b").1, 2, "a command sees variables");
    assert_eq!(build_with("USER alice").1, 3, "and its user");
    assert_eq!(build_with("COPY f /other").1, 4, "and files");
    let prune = crate::CachePrune { room: crate::CacheRoom::default(), all: true, is_meant: &|_| true };
    fixture.builder.prune_cache(&prune).expect("a prune");
    assert_eq!(build_with("LABEL x=3").1, 5, "a prune forgets");
}

#[test]
fn the_network_of_a_build_counts() {
    use std::sync::atomic::Ordering;
    let fixture = Fixture::new();
    let runs_with = |change: &dyn Fn(&mut model::HostSettings)| {
        let built = fixture.build_with(context("FROM base\nRUN true\n"), |request| {
            request.order = Order::Graph;
            change(&mut request.host);
        });
        built.result.expect("an image");
        fixture.runner.runs.load(Ordering::Relaxed)
    };
    assert_eq!(runs_with(&|_| ()), 1);
    assert_eq!(runs_with(&|host| host.network_mode = model::NetworkMode::None), 2);
    let add_host = |host: &mut model::HostSettings| {
        host.extra_hosts = Some(vec![model::Spelled::parse("q:1.2.3.4").expect("a host")]);
    };
    assert_eq!((runs_with(&add_host), runs_with(&add_host), runs_with(&|_| ())), (3, 3, 3));
}

#[test]
fn results_are_made_at_the_time_that_the_request_gives() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nWORKDIR /w\nRUN echo a > /a\nCMD [\"x\"]\n";
    let build_at = |epoch: &str| {
        fixture.build_with(context(dockerfile), |request| {
            request.order = Order::Graph;
            request.build_arguments.insert("SOURCE_DATE_EPOCH".to_owned(), Some(epoch.to_owned()));
        })
    };
    image(&fixture, context(dockerfile));
    let made = build_at("1420070400").result.expect("an image");
    let found = fixture.store.image(&made).expect("an image");
    let own = found.config.history.iter().filter(|entry| entry.comment == "buildkit.dockerfile.v0");
    let times: Vec<_> = own.map(|entry| entry.created.map(|time| time.unix_seconds())).collect();
    assert_eq!(times, [Some(1_420_070_400); 3]);
    assert_eq!(found.config.created.map(|time| time.unix_seconds()), Some(1_420_070_400));
    assert!(fixture.files(&found).contains(&"w/ 755 0:0 2015".to_owned()));
    assert_eq!(build_at("1420070400").result.expect("an image"), made);
    assert_ne!(build_at("5").result.expect("an image"), made);
    let error = build_at("soon").result.expect_err("a refusal").to_string();
    assert_eq!(error, "invalid SOURCE_DATE_EPOCH \"soon\": it is seconds since 1970");
}

#[test]
fn root_is_known_where_there_are_no_accounts() {
    let fixture = Fixture::new();
    let archive = || {
        context("FROM scratch\nCOPY --chown=root:root f /f\nCOPY --chown=root f /g\n")
            .file_of("f", "1", 0o644, 5, 6)
    };
    let made = image(&fixture, archive());
    let files = fixture.files(&made);
    assert!(files.iter().all(|file| file.contains(" 0:0")), "{files:?}");
    let refused = fixture.build(archive()).result.expect_err("a failure").to_string();
    assert!(refused.contains("root"), "a classic build looks it up: {refused}");
}
