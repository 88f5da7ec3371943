//! Dockerfiles: every instruction with its effect on configuration, files and history.

use berth_tests::{Context, Engine, Entry};
use serde_json::{Value, json};

/// The configuration of a built image.
fn config(engine: &Engine, image: &str) -> Value {
    engine.get(&format!("/images/{image}/json")).expect(200).json()["Config"].clone()
}

/// The newest entry of an image's history.
fn last_step(engine: &Engine, image: &str) -> String {
    let history = engine.get(&format!("/images/{image}/history")).expect(200).json();
    history[0]["CreatedBy"].as_str().expect("a command").to_owned()
}

/// What an image's own command writes.
fn own_output(engine: &Engine, image: &str) -> String {
    let output = engine.output(&json!({ "Image": image }));
    output.stdout + &output.stderr
}

#[test]
fn commands_run_and_start_in_every_form() {
    let engine = Engine::start();
    for (rest, want) in [
        ("CMD echo $0 shell", "/bin/sh shell\n"),
        ("CMD [\"echo\", \"$HOME\", \"a b\"]", "$HOME a b\n"),
        ("ENTRYPOINT [\"echo\", \"e\"]\nCMD [\"c\"]", "e c\n"),
        ("CMD [\"c\"]\nENTRYPOINT [\"echo\", \"e\"]", "e c\n"),
        ("CMD [\"lost\"]\nCMD [\"echo\", \"last\"]", "last\n"),
        ("ENTRYPOINT echo \"$x\"\nENV x=from-env", "from-env\n"),
        ("RUN echo shell > /f\nCMD cat /f", "shell\n"),
        ("RUN [\"sh\", \"-c\", \"echo $0 > /f\", \"exec form\"]\nCMD cat /f", "exec form\n"),
        ("RUN echo one \\\n  # a comment between\n\n  two > /f\nCMD cat /f", "one two\n"),
        ("RUN echo 'it''s' \\\\ \"q\\\"q\" > /f\nCMD cat /f", "its \\ q\"q\n"),
        ("SHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $- > /f\nSHELL [\"/bin/sh\", \"-c\"]\nCMD cat /f", "ce\n"),
        ("SHELL [\"/bin/busybox\", \"echo\"]\nCMD said", "said\n"),
        ("USER alice\nRUN id -un > /tmp/f\nWORKDIR /tmp\nCMD id -u; cat f; pwd", "1000\nalice\n/tmp\n"),
        ("USER 1001:2000\nCMD id -u; id -g", "1001\n2000\n"),
        (
            "ENV d=/var\nWORKDIR $d\nWORKDIR ./lib/\nWORKDIR ../new\nRUN pwd > f\nCMD cat f; pwd",
            "/var/new\n/var/new\n",
        ),
    ] {
        for end in ["\n", "\r\n"] {
            let text = format!("\u{feff}FROM busybox\n{rest}\n").replace('\n', end);
            let said = own_output(&engine, &engine.build(&[], Context::of(&text)).image());
            assert!(said.starts_with(want), "{rest:?}: {said:?}");
        }
    }
    engine.forget_builds();
}

#[test]
fn variables_are_put_where_they_belong() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nENV x=1 y=\"two words\" z=a\\ b\nENV old form  stays\n\
        ENV a=$x b=${x} c=${none:-dash} d=${x:+plus} e=${none:+no} f=\\$x g='$x' h=\"<$x>\" i=${x}y j=$xy k=${none}\n\
        ENV x=2 l=$x\nWORKDIR /w$x\nRUN echo \"$x $l\" > run\nCOPY f$x /c$x\nADD f2 ${none:-/added}\n\
        LABEL k=$x \"quoted $x\"='$x'\nEXPOSE 80$x ${x}00-20${x}/udp\nVOLUME /v$x\nUSER ${x}00\nSTOPSIGNAL ${none:-SIGUSR1}\n\
        CMD echo $x\n";
    let image = engine.build(&[], Context::of(dockerfile).file("f2", "copied\n")).image();
    let set =
        "for v in y z old a b c d e f g h i j k x l; do eval echo \\\"$v=\\$$v\\\"; done; cat run /c2 /added";
    let want = "y=two words\nz=a b\nold=form  stays\na=1\nb=1\nc=dash\nd=plus\ne=\nf=$x\ng=$x\nh=<1>\ni=1y\nj=\nk=\nx=2\nl=1\n\
        2 1\ncopied\ncopied\n";
    assert_eq!(engine.output_of(&image, set), want);
    let config = config(&engine, &image);
    assert_eq!(config["Labels"], json!({ "k": "2", "quoted 2": "$x" }));
    let ports: Vec<_> = config["ExposedPorts"].as_object().expect("ports").keys().cloned().collect();
    assert_eq!(ports, ["200/udp", "201/udp", "202/udp", "802/tcp"]);
    assert_eq!((&config["Volumes"], &config["User"]), (&json!({ "/v2": {} }), &json!("200")));
    assert_eq!((&config["StopSignal"], &config["WorkingDir"]), (&json!("SIGUSR1"), &json!("/w2")));
    assert_eq!(config["Cmd"], json!(["/bin/sh", "-c", "echo $x"]));
    engine.forget_builds();
}

#[test]
fn histories_and_authors_are_kept() {
    let engine = Engine::start();
    let context = |text: &str| Context::of(&format!("FROM busybox\n{text}\n")).file("f", "x");
    for (text, want) in [
        ("MAINTAINER Jane <j@x.org>", "/bin/sh -c #(nop) MAINTAINER Jane <j@x.org>"),
        ("RUN true", "/bin/sh -c true"),
        ("RUN [\"true\", \"a b\"]", "true a b"),
        ("ENV a b", "/bin/sh -c #(nop) ENV a=b"),
        ("EXPOSE 7000-7001", "/bin/sh -c #(nop) EXPOSE 7000/tcp 7001/tcp"),
        ("VOLUME [\"/a\", \"/b c\"]", "/bin/sh -c #(nop) VOLUME [/a /b c]"),
        ("ONBUILD RUN x", "/bin/sh -c #(nop) ONBUILD RUN x"),
        ("USER alice", "/bin/sh -c #(nop) USER [alice]"),
        ("HEALTHCHECK --interval=5s CMD true", "/bin/sh -c #(nop) HEALTHCHECK --interval=5s CMD true"),
    ] {
        let image = engine.build(&[], context(text)).image();
        assert_eq!(last_step(&engine, &image), want);
    }
    let image = engine.build(&[], context("MAINTAINER Jane\nCOPY f /f")).image();
    let inspected = engine.get(&format!("/images/{image}/json")).expect(200).json();
    assert_eq!(inspected["Author"], "Jane");
    let step = last_step(&engine, &image);
    assert!(step.starts_with("/bin/sh -c #(nop) COPY file:") && step.ends_with(" in /f"), "{step}");
    let check = engine.build(&[], context("HEALTHCHECK --retries=3 CMD [\"a\"]")).image();
    let kept = config(&engine, &check);
    assert_eq!(kept["Healthcheck"], json!({ "Test": ["CMD", "a"], "Retries": 3 }), "{kept}");
    engine.forget_builds();
}

#[test]
fn a_stop_signal_reaches_the_container() {
    let engine = Engine::start();
    let context = Context::of(
        "FROM busybox\nSTOPSIGNAL USR1\nCMD trap 'echo usr1; exit 3' USR1; echo up; while :; do sleep 0.05; done\n",
    );
    let image = engine.build(&[], context).image();
    let id = engine.run(&json!({ "Image": image }));
    berth_tests::wait::until("the trap", || engine.logs(&id).0.contains("up").then_some(()));
    let _ = engine.post(&format!("/containers/{id}/stop?t=20")).expect(204);
    assert_eq!((engine.wait(&id), engine.logs(&id).0.as_str()), (3, "up\nusr1\n"));
    engine.forget_builds();
}

#[test]
fn what_is_written_behind_a_volume_is_dropped() {
    let engine = Engine::start();
    let image = engine
        .build(
            &[],
            Context::of(
                "FROM busybox\nRUN mkdir /v && echo before > /v/a\nVOLUME /v\nRUN echo after > /v/b; ls /v\n",
            ),
        )
        .image();
    assert_eq!(engine.output_of(&image, "ls /v; cat /v/a"), "a\nbefore\n");
    let id = engine.run(&json!({ "Image": image, "Cmd": ["sleep", "600"] }));
    let mounts = engine.inspect(&id)["Mounts"].clone();
    assert_eq!((mounts[0]["Destination"].as_str(), mounts[1].is_null()), (Some("/v"), true), "{mounts}");
    engine.remove(&id);
    engine.forget_builds();
}

#[test]
fn files_are_copied_as_the_manual_says() {
    let engine = Engine::start();
    let files = |dockerfile: &str| {
        Context::of(dockerfile)
            .entry(Entry {
                name: "f.txt",
                mode: 0o4755,
                owner: (1000, 1000),
                content: b"f\n",
                ..Entry::default()
            })
            .file("g.txt", "g\n")
            .file("sp ace.md", "s\n")
            .file("[x].dat", "x\n")
            .directory("dir/")
            .file("dir/in", "in\n")
            .directory("dir/sub/")
            .symlink("dir/sub/up", "../in")
            .symlink("link", "dir/in")
            .symlink("dangling", "nowhere")
    };
    let list = "cd /; find d -exec stat -c '%n %F %a %u:%g' {} + | sort";
    for (rest, want) in [
        ("COPY f.txt /d/", "d directory 755 0:0\nd/f.txt regular file 4755 0:0\n"),
        ("COPY f.txt /d", "d regular file 4755 0:0\n"),
        (
            "COPY *.txt d/",
            "d directory 755 0:0\nd/f.txt regular file 4755 0:0\nd/g.txt regular file 644 0:0\n",
        ),
        (
            "COPY [f-g].t?t d/",
            "d directory 755 0:0\nd/f.txt regular file 4755 0:0\nd/g.txt regular file 644 0:0\n",
        ),
        ("COPY [[]x].d* d/", "d directory 755 0:0\nd/[x].dat regular file 644 0:0\n"),
        ("COPY [\"sp ace.md\", \"/d/\"]", "d directory 755 0:0\nd/sp ace.md regular file 644 0:0\n"),
        ("COPY link /d", "d regular file 644 0:0\n"),
        (
            "COPY dir /d",
            "d directory 755 0:0\nd/in regular file 644 0:0\nd/sub directory 755 0:0\nd/sub/up symbolic link 777 0:0\n",
        ),
        (
            "COPY --chown=alice:team g.txt /d/",
            "d directory 755 1000:2000\nd/g.txt regular file 644 1000:2000\n",
        ),
        ("WORKDIR /d\nCOPY g.txt .", "d directory 755 0:0\nd/g.txt regular file 644 0:0\n"),
        ("RUN mkdir -m 700 /d\nCOPY g.txt /d", "d directory 700 0:0\nd/g.txt regular file 644 0:0\n"),
        (
            "RUN ln -s /tmp/../d2 /d3 && mkdir /d2 && ln -s d2 /d\nCOPY g.txt /d3/",
            "d symbolic link 777 0:0\n",
        ),
        // Cleaned by its text before the link is followed.
        ("RUN mkdir -p /e/f && ln -s /e/f /l\nCOPY g.txt /l/../d", "d regular file 644 0:0\n"),
        (
            "RUN mkdir -p /e/f && ln -s /e/f /l\nADD dir/in /l/../d/",
            "d directory 755 0:0\nd/in regular file 644 0:0\n",
        ),
        ("RUN mkdir -p /e/f && ln -s /e/f /l\nWORKDIR /l\nCOPY g.txt ../d", "d regular file 644 0:0\n"),
        ("RUN mkdir -p /e/f && ln -s /e/f /l\nWORKDIR /l/..\nCOPY g.txt d", "d regular file 644 0:0\n"),
    ] {
        let image = engine.build(&[], files(&format!("FROM busybox\n{rest}\n"))).image();
        assert_eq!(engine.output_of(&image, list), want, "{rest}");
    }
    for (rest, want) in [
        ("COPY nosuch /d", "nosuch: no such file or directory"),
        ("COPY *.none /d/", "No source files were specified"),
        ("COPY dangling /d", "dangling: no such file or directory"),
        ("COPY dir/../../../etc/passwd /d", "dir/../../../etc/passwd: no such file or directory"),
        ("COPY --chown=nobody-here g.txt /d", "can't find uid for nobody-here"),
        ("COPY dir /etc/passwd", "mkdir /etc/passwd: not a directory"),
    ] {
        let built = engine.build(&[], files(&format!("FROM busybox\n{rest}\n")));
        assert_eq!(built.failure(), want, "{rest}");
    }
    engine.forget_builds();
}

#[test]
fn triggers_wait_for_the_child_and_reach_no_grandchild() {
    let engine = Engine::start();
    let parent = "FROM busybox\nONBUILD RUN echo trig >> /log\nONBUILD COPY f /f\nONBUILD ENV t=set\nRUN echo own >> /log\n";
    let _ = engine.build(&[("t", "parent")], Context::of(parent)).image();
    assert_eq!(
        engine.output_of("parent", "cat /log; ls /f; echo $t"),
        "own\n\nls: /f: No such file or directory\n"
    );
    let missing = engine.build(&[], Context::of("FROM parent\n"));
    assert_eq!(missing.failure(), "f: no such file or directory");
    let child =
        engine.build(&[("t", "child")], Context::of("FROM parent\nRUN echo $t >> /log\n").file("f", "f\n"));
    let _ = child.image();
    assert!(child.said.contains("# Executing 3 build triggers"), "{}", child.said);
    assert_eq!(engine.output_of("child", "cat /log /f"), "own\ntrig\nset\nf\n");
    let grandchild = engine.build(&[], Context::of("FROM child\nCMD cat /log\n"));
    assert!(!grandchild.said.contains("trigger"), "{}", grandchild.said);
    assert_eq!(
        config(&engine, "parent")["OnBuild"],
        json!(["RUN echo trig >> /log", "COPY f /f", "ENV t=set"])
    );
    assert_eq!(config(&engine, "child")["OnBuild"], json!([]));
    engine.forget_builds();
}

#[test]
fn arguments_follow_their_rules() {
    let engine = Engine::start();
    let dockerfile = "ARG base=busybox\nARG late=global\nFROM ${base}\nARG a=default\nARG b\nARG late\nRUN echo \"$a $b $late $c\" > /f\n\
        ENV a=env\nARG c=$a\nRUN echo \"$a $c $http_proxy\" >> /f\nLABEL a=$a c=$c\n";
    let build = |arguments: &str| engine.build(&[("buildargs", arguments)], Context::of(dockerfile));
    for (arguments, want) in [
        ("{}", "default  global \nenv env \n"),
        (r#"{"a":"given","b":"B"}"#, "given B global \nenv env \n"),
        (r#"{"late":"L","c":"C","base":"busybox:latest"}"#, "default  L \nenv C \n"),
        (r#"{"http_proxy":"http://p"}"#, "default  global \nenv env http://p\n"),
        (r#"{"a":null}"#, "default  global \nenv env \n"),
    ] {
        let built = engine.build(&[("buildargs", arguments), ("nocache", "1")], Context::of(dockerfile));
        assert_eq!(engine.output_of(&built.image(), "cat /f; echo -n \"$b$c\""), want, "{arguments}");
        assert!(!built.said.contains("[Warning]"), "{}", built.said);
    }
    let unused = build(r#"{"zzz":"1","yyy":"2","no_proxy":"x"}"#);
    assert!(
        unused.said.contains("[Warning] One or more build-args [yyy zzz] were not consumed\n"),
        "{}",
        unused.said
    );
    let steps = build(r#"{"a":"given"}"#).cached();
    assert_eq!(build(r#"{"a":"given"}"#).cached(), 8, "all is cached");
    assert!(build(r#"{"a":"other"}"#).cached() < steps.max(8), "another value is another step");
    assert_eq!(
        build(r#"{"a":"given","http_proxy":"http://q"}"#).cached(),
        8,
        "proxies are no part of the key"
    );
    assert!(build("[1]").failure().starts_with("buildargs: "));
    engine.forget_builds();
}

#[test]
fn stages_pass_files_on() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox AS one\nRUN mkdir /out && echo built > /out/f && ln -s f /out/l && chmod 4711 /out/f && ln /out/f /out/h\n\
        FROM scratch AS Bare\nCOPY --from=one /out /o\nFROM busybox\nCOPY --from=bare /o/ /copied/\nCOPY --from=0 --chown=1:2 /out/l /single\n\
        COPY --from=busybox:latest /etc/hostname /from-image\nRUN cat /copied/l\n";
    let built = engine.build(&[], Context::of(dockerfile));
    let image = built.image();
    let listed = engine
        .output_of(&image, "stat -c '%n %F %a %u:%g %h' /copied/* /single /from-image; cat /from-image");
    let want = "/copied/f regular file 4711 0:0 2\n/copied/h regular file 4711 0:0 2\n/copied/l symbolic link 777 0:0 1\n\
        /single regular file 4711 1:2 1\n/from-image regular file 644 0:0 1\nimage\n";
    assert_eq!(listed, want);
    let target = engine.build(&[("target", "ONE")], Context::of(dockerfile)).image();
    assert_eq!(engine.output_of(&target, "cat /out/h"), "built\n");
    let bad = engine.build(&[("target", "none")], Context::of(dockerfile));
    assert_eq!((bad.status, bad.failure()), (500, "failed to reach build target none in Dockerfile"));
    for (rest, want) in [
        ("COPY --from=7 /a /b", "invalid from flag value 7: the stage is not built before this one"),
        ("COPY --from=one ../../../etc/nosuch /b", "../../../etc/nosuch: no such file or directory"),
    ] {
        let text = format!("FROM busybox AS one\nFROM busybox\n{rest}\n");
        assert_eq!(engine.build(&[], Context::of(&text)).failure(), want);
    }
    engine.forget_builds();
}
