//! Classic builds as versions after 1.20 show and steer them.

use berth_tests::{Built, Client, Context, Engine};
use serde_json::{Value, json};

const ALL: [&str; 4] = ["1.20", "1.23", "1.24", "1.55"];

fn layers(client: &Client, image: &str) -> Value {
    client.get(&format!("/images/{image}/json")).expect(200).json()["RootFS"]["Layers"].clone()
}

fn auxiliary(built: &Built) -> Vec<&str> {
    built.messages.iter().filter_map(|message| message["aux"]["ID"].as_str()).collect()
}

#[test]
fn the_stream_has_the_words_of_its_version() {
    let engine = Engine::start();
    for version in ALL {
        let client = engine.at(version);
        let context = Context::of(&format!(
            "FROM busybox AS first\nRUN echo {version}\nFROM busybox\nLABEL version={version}\n"
        ));
        let built = client.build(&[("t", "words")], context);
        let said = &built.said;
        assert_eq!(built.error, None, "{said}");
        let id = engine.at("1.55").get("/images/words/json").expect(200).json()["Id"].clone();
        let is_of_today = matches!(version, "1.24" | "1.55");
        for (of_today, of_old) in [
            ("Step 1/4 : FROM busybox AS first\n", "Step 0 : FROM busybox AS first\n"),
            ("Step 4/4 : LABEL version=", "Step 3 : LABEL version "),
            (" ---> Removed intermediate container ", "Removing intermediate container "),
        ] {
            assert_eq!(said.contains(of_today), is_of_today, "{version}: {said}");
            assert_eq!(said.contains(of_old), !is_of_today, "{version}: {said}");
        }
        assert_eq!(said.contains("Successfully tagged words:latest\n"), is_of_today, "{version}: {said}");
        let named = auxiliary(&built);
        assert_eq!(named.len(), if is_of_today { 2 } else { 0 }, "{version}: the image of each stage");
        assert_eq!(named.last().copied(), id.as_str().filter(|_| is_of_today), "{version}");
        // The container goes before the image is named, or after it.
        let (removed, made) = (said.find("intermediate container"), said.find("LABEL"));
        assert!(removed < made, "{said}");
        engine.forget_builds();
    }
}

#[test]
fn steps_are_shown_as_they_are_written_since_1_24() {
    let engine = Engine::start();
    let instructions = [
        ("run [\"echo\", \"hi there\"]", "RUN echo hi there"),
        ("ENV X=$A Y=\"a b\"", "ENV X $A Y \"a b\""),
        ("CMD [\"x\"]", "CMD x"),
        ("ENTRYPOINT [\"a\", \"b\"]", "ENTRYPOINT a b"),
        ("VOLUME [\"/v\"]", "VOLUME /v"),
        ("ONBUILD RUN ls", "ONBUILD run ls"),
        ("COPY f /f", "COPY f /f"),
    ];
    let dockerfile = instructions.iter().map(|(written, _)| format!("{written}\n")).collect::<String>();
    for (version, is_of_today) in [("1.20", false), ("1.55", true)] {
        let context = Context::of(&format!("FROM busybox\n{dockerfile}")).file("f", version);
        let built = engine.at(version).build(&[], context);
        assert_eq!(built.error, None, "{}", built.said);
        for (written, parsed) in instructions {
            let line = format!(" : {}\n", if is_of_today { written } else { parsed });
            assert!(built.said.contains(&line), "{version} {line}: {}", built.said);
        }
        // A copy has no container that it could remove.
        let (_, of_copy) = built.said.split_once("COPY f /f").expect("the step");
        assert_eq!(of_copy.contains("intermediate container"), !is_of_today, "{version}: {}", built.said);
        engine.forget_builds();
    }
}

#[test]
fn errors_come_with_their_line_since_1_24() {
    let engine = Engine::start();
    for (version, want) in [
        ("1.23", "Unknown instruction: FROBNICATE"),
        ("1.24", "dockerfile parse error on line 4: unknown instruction: FROBNICATE"),
    ] {
        let context = Context::of("# first\nFROM busybox\n\nFROBNICATE \\\n x\n");
        let built = engine.at(version).build(&[], context);
        assert!(built.failure().contains(want), "{version}: {}", built.failure());
    }
    let today = engine.at("1.55");
    let nothing = today.build(&[], Context::of("# nothing\n"));
    assert!(nothing.failure().contains("file with no instructions"), "{}", nothing.failure());
    for dockerfile in ["FROM busybox\nCOPY one", "FROM", "FROM busybox\nEXPOSE", "# nothing\n"] {
        assert_eq!(today.build(&[], Context::of(dockerfile)).status, 400, "{dockerfile}");
    }
}

/// Why a build failed: the last message of its stream, or the answer.
fn message(built: &Built) -> String {
    let answer: Option<Value> = serde_json::from_str(built.failure()).ok();
    let message = answer.and_then(|answer| answer["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| built.failure().to_owned())
}

#[test]
fn errors_have_the_words_of_today_since_1_24() {
    let engine = Engine::start();
    let missing =
        "file not found in build context or excluded by .dockerignore: stat nope: file does not exist";
    let cases = [
        (
            "FROM busybox\nFOO x\n",
            "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
        ),
        ("", "the Dockerfile (Dockerfile) cannot be empty"),
        ("# nothing\n", "failed to parse Dockerfile: file with no instructions"),
        ("RUN true\n", "no build stage in current context"),
        ("ARG a\n", "no build stage in current context"),
        ("FROM busybox\nCOPY nope /x\n", &format!("COPY failed: {missing}")),
        ("FROM busybox\nADD ./nope /x\n", &format!("ADD failed: {missing}")),
        ("FROM busybox\nCOPY --from=busybox /nope /x\n", "COPY failed: stat nope: file does not exist"),
        ("FROM busybox\nCOPY *.none /x/\n", "COPY failed: no source files were specified"),
        ("FROM busybox\nCOPY ../x /x\n", "COPY failed: forbidden path outside the build context: ../x ()"),
        (
            "FROM busybox\nCOPY --from f /x\n",
            "dockerfile parse error on line 2: missing a value on flag: --from",
        ),
        (
            "FROM busybox\nCOPY f\n",
            "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. \
             Destination could not be determined",
        ),
        ("FROM busybox\nUSER nobody-here\nRUN true\n", "Unable to find user nobody-here"),
        ("FROM busybox\nSTOPSIGNAL foo\n", "dockerfile parse error on line 2: invalid signal: foo"),
        (
            "FROM busybox\nCOPY --chown=nobody-here f /x\n",
            "unable to convert uid/gid chown string to host mapping: can't find uid for user nobody-here: no such user: \
             nobody-here",
        ),
    ];
    for (dockerfile, want) in cases {
        for version in ["1.24", "1.55"] {
            let built = engine.at(version).build(&[], Context::of(dockerfile).file("f", "x"));
            assert_eq!(message(&built), want, "{version}: {dockerfile}");
        }
        let old = engine.at("1.23").build(&[], Context::of(dockerfile).file("f", "x"));
        assert_ne!(old.failure(), want, "{dockerfile}");
    }
    for (version, want) in [
        ("1.24", Err("target stage \"0\" could not be found")),
        ("1.55", Err("target stage \"0\" could not be found")),
        ("1.23", Ok(())),
    ] {
        let built = engine.at(version).build(&[("target", "0")], Context::of("FROM busybox\nLABEL a=b\n"));
        match want {
            Ok(()) => assert_eq!(built.error, None, "{version}: numbers are stages"),
            Err(want) => assert_eq!(message(&built), want, "{version}"),
        }
    }
    for (version, want) in
        [("1.23", "run is not a valid change command"), ("1.24", "RUN is not a valid change command")]
    {
        let answer = engine.at(version).post("/images/create?fromSrc=-&changes=RUN%20x");
        assert!(answer.text().contains(want), "{version}: {}", answer.text());
    }
    engine.forget_builds();
}

#[test]
fn histories_have_the_words_of_today_since_1_24() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let dockerfile = "FROM busybox\nWORKDIR /w\nWORKDIR /w\nSHELL [\"/bin/sh\", \"-ec\"]\nUSER 1:1\nCMD a\n\
        EXPOSE 80 53/udp\nHEALTHCHECK --interval=3s CMD true\nCOPY f /f\n";
    let built = today.build(&[("t", "shown")], Context::of(dockerfile).file("f", "x"));
    assert_eq!(built.error, None, "{}", built.said);
    let history = today.get("/images/shown/history").expect(200).json();
    let history = history.as_array().expect("a list");
    let shown: Vec<_> = history.iter().filter_map(|step| step["CreatedBy"].as_str()).collect();
    let copied = shown[0].strip_prefix("/bin/sh -ec #(nop) COPY file:").expect("a copy");
    assert!(copied.ends_with(" in /f "), "{copied}");
    let want = [
        "/bin/sh -ec #(nop)  HEALTHCHECK &{Test:[CMD-SHELL true] Interval:3s Timeout:0s StartPeriod:0s StartInterval:0s \
         Retries:0}",
        "/bin/sh -ec #(nop)  EXPOSE 53/udp 80",
        "/bin/sh -ec #(nop)  CMD [\"/bin/sh\" \"-ec\" \"a\"]",
        "/bin/sh -ec #(nop)  USER 1:1",
        "/bin/sh -ec #(nop)  SHELL [/bin/sh -ec]",
        "/bin/sh -c #(nop) WORKDIR /w",
        "/bin/sh -c #(nop) WORKDIR /w",
    ];
    assert_eq!(shown[1..=want.len()], want);
    let again = today.build(&[], Context::of(dockerfile).file("f", "x"));
    assert_eq!(again.cached(), 8, "{}", again.said);
    let _ = today.delete("/images/shown").expect(200);
    engine.forget_builds();
}

#[test]
fn quiet_builds_give_the_id_alone() {
    let engine = Engine::start();
    let built =
        engine.at("1.55").build(&[("q", "1"), ("t", "quiet")], Context::of("FROM busybox\nRUN true\n"));
    let id = engine.at("1.55").get("/images/quiet/json").expect(200).json()["Id"].clone();
    assert_eq!(built.messages, [json!({"stream": format!("{}\n", id.as_str().expect("an id"))})]);
    engine.forget_builds();
}

#[test]
fn images_are_for_the_platform_that_is_asked_for() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let own = today.get("/images/busybox/json").expect(200).json()["Architecture"].clone();
    let own = format!("linux/{}", own.as_str().expect("a word"));
    let built = today.build(&[("platform", &own)], Context::of("FROM busybox\nRUN echo up\n"));
    assert!(built.said.contains("up\n"), "{}", built.said);
    let dockerfile = format!("ARG FOR={own}\nFROM --platform=$FOR busybox AS x\nRUN echo by-flag\n");
    let built = today.build(&[], Context::of(&dockerfile));
    assert!(built.said.contains("by-flag\n"), "{}", built.said);
    // For images from scratch the platform is always the requested one.
    let context = || Context::of("FROM scratch\nCOPY f /f\n").file("f", "x");
    for (platform, want) in [("linux/arm64", ("arm64", "")), ("linux/arm/v7", ("arm", "v7"))] {
        let built = today.build(&[("platform", platform), ("t", "127.0.0.1:1/foreign")], context());
        assert_eq!(built.error, None, "{}", built.said);
        let image = today.get("/images/127.0.0.1:1/foreign/json").expect(200).json();
        let (architecture, variant) = (&image["Architecture"], image["Variant"].as_str().unwrap_or_default());
        assert_eq!((architecture.as_str(), variant), (Some(want.0), want.1));
        // The cache does not take one for the other.
        assert_eq!(built.cached(), 0, "{}", built.said);
    }
    let built = today.build(&[], Context::of("FROM --platform=linux/s390x 127.0.0.1:1/foreign\nLABEL a=b\n"));
    assert!(built.failure().contains("127.0.0.1:1"), "{}", built.failure());
    for (platform, status) in [("linux/a/b/c/d", 400), ("windows", 400), ("windows/amd64", 400)] {
        let built = today.build(&[("platform", platform)], Context::of("FROM busybox\nLABEL a=b\n"));
        assert_eq!(built.status, status, "{platform}: {}", built.said);
    }
    let built = today.build(&[], Context::of("FROM --platform=a/b/c/d busybox\n"));
    assert!(built.failure().contains("invalid platform of FROM"), "{}", built.failure());
    engine.forget_builds();
}

#[test]
fn what_comes_from_an_image_keeps_its_owner() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS first\n\
        RUN mkdir /src && echo x > /src/i && chmod 640 /src/i && chown -R 7:8 /src && chown 7:9 /src\n\
        FROM busybox\nCOPY --from=first /src/i /one\nCOPY --from=first /src /all/\n\
        COPY --from=first --chown=3:4 /src/i /given\nCOPY own /own\n\
        RUN stat -c '%n %u:%g %a' /one /all /all/i /given /own\n";
    let built = engine.at("1.55").build(&[], Context::of(dockerfile).file("own", "x"));
    assert_eq!(built.error, None, "{}", built.said);
    for want in ["/one 7:8 640\n", "/all 0:0 755\n", "/all/i 7:8 640\n", "/given 3:4 640\n", "/own 0:0 644\n"]
    {
        assert!(built.said.contains(want), "{want} in {}", built.said);
    }
    engine.forget_builds();
}

#[test]
fn images_that_are_named_are_a_cache() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let dockerfile = "FROM busybox\nRUN cat /proc/uptime > /up\nENV A=b\nCOPY f /f\nLABEL l=m\n";
    let build = |parameters: &[(&str, &str)], content: &str| {
        today.build(parameters, Context::of(dockerfile).file("f", content))
    };
    assert_eq!(build(&[("t", "cache")], "x").error, None);
    let first = layers(&today, "cache");
    let saved = today.get("/images/cache/get").expect(200).body;
    engine.forget_builds();
    let _ = today.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &saved).expect(200);
    // An image from elsewhere is no cache by itself.
    let other = build(&[("t", "other")], "x");
    assert_eq!((other.error.as_deref(), other.cached()), (None, 0), "{}", other.said);
    let _ = today.delete("/images/other").expect(200);
    let named = build(&[("t", "named"), ("cachefrom", r#"["missing","cache"]"#), ("nocache", "0")], "x");
    assert_eq!((named.error.as_deref(), named.cached()), (None, 4), "{}", named.said);
    assert_eq!(layers(&today, "named"), first);
    // What differs is made, and what follows it.
    let changed = build(&[("t", "changed"), ("cachefrom", r#"["cache"]"#)], "y");
    assert_eq!((changed.error.as_deref(), changed.cached()), (None, 2), "{}", changed.said);
    let _ = build(&[("cachefrom", "{")], "x").failure();
    // They are the whole cache: what else was made here does not count.
    for (images, cached) in [(r#"["named"]"#, 4), (r#"["missing"]"#, 0), ("[]", 4)] {
        let again = build(&[("cachefrom", images)], "x");
        assert_eq!((again.error.as_deref(), again.cached()), (None, cached), "{images}: {}", again.said);
    }
    // Nor are layers used that exist without their images.
    let linked = |parameters: &[(&str, &str)]| {
        let built =
            today.build(parameters, Context::of("FROM busybox\nCOPY --link g /g\n").file("g", "linked"));
        assert_eq!(built.error, None, "{}", built.said);
        built.cached()
    };
    assert_eq!([linked(&[]), linked(&[("cachefrom", r#"["missing"]"#)]), linked(&[])], [0, 0, 1]);
    engine.forget_builds();
}

#[test]
fn cache_mounts_are_shown_and_pruned() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let nothing = json!({"CachesDeleted": null, "SpaceReclaimed": 0});
    assert_eq!(today.post("/build/prune").expect(200).json(), nothing);
    let dockerfile =
        "FROM busybox\nRUN --mount=type=cache,target=/c,id=kept dd if=/dev/zero of=/c/f bs=1k count=64\n";
    let built = today.build(&[], Context::of(dockerfile));
    assert_eq!(built.error, None, "{}", built.said);
    let usage = today.get("/system/df").expect(200).json();
    let record = &usage["BuildCache"][0];
    assert_eq!(record["Description"], "cached mount kept");
    assert_eq!((&record["Type"], &record["InUse"]), (&json!("exec.cachemount"), &json!(false)));
    assert_eq!((&record["UsageCount"], &usage["BuildCacheUsage"]["TotalCount"]), (&json!(1), &json!(1)));
    assert!(record["Size"].as_u64().is_some_and(|size| size >= 65_536), "{record}");
    for kept in [
        "?all=1&filters=%7B%22until%22%3A%5B%221h%22%5D%7D",
        "?reserved-space=1000000000",
        "?max-used-space=1000000000",
        "?min-free-space=1",
        "?filters=%7B%22type%22%3A%5B%22regular%22%5D%7D",
        // The request of `docker system prune --filter label=a`: records have no labels.
        "?filters=%7B%22label%22%3A%5B%22a%22%5D%7D",
        "?filters=%7B%22inuse%22%3A%5B%221%22%5D%7D",
    ] {
        assert_eq!(today.post(&format!("/build/prune{kept}")).expect(200).json(), nothing, "{kept}");
    }
    let pruned = today
        .post("/build/prune?filters=%7B%22label!%22%3A%5B%22a%22%5D%2C%22inuse%22%3A%5B%220%22%5D%7D")
        .expect(200)
        .json();
    assert_eq!(pruned["CachesDeleted"], json!([record["ID"]]));
    assert_eq!(pruned["SpaceReclaimed"], record["Size"]);
    assert_eq!(today.get("/system/df").expect(200).json()["BuildCache"], json!([]));
    let events = today.past_events(&json!({"event": ["prune"]}));
    let last = events.last().expect("an event");
    let reclaimed = json!({"reclaimed": record["Size"].to_string()});
    assert_eq!((&last["Type"], &last["Actor"]["Attributes"]), (&json!("builder"), &reclaimed));
    let colour = "filters=%7B%22color%22%3A%5B%22red%22%5D%7D";
    for bad in
        [colour, "filters=%7B%22shared%22%3A%5B%22maybe%22%5D%7D", "reserved-space=much", "filters=%7B"]
    {
        let _ = today.post(&format!("/build/prune?{bad}")).expect(400);
    }
    let _ = engine.at("1.30").post("/build/prune").expect(404);
    engine.forget_builds();
}
