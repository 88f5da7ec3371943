//! Build contexts: compressed, hostile, from addresses and from git repositories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use berth_tests::services::{git, git_program};
use berth_tests::tarball::COMPRESSIONS;
use berth_tests::{Context, Engine, Entry, Service, piped};
use tar::EntryType;

#[test]
fn contexts_and_archives_come_in_every_compression() {
    let engine = Engine::start();
    let inside = Context::empty()
        .entry(Entry {
            name: "in",
            mode: 0o4711,
            owner: (3, 4),
            time: 981_173_106,
            content: b"inside\n",
            ..Entry::default()
        })
        .bytes();
    for (program, arguments) in COMPRESSIONS {
        let archive = piped(program, arguments, &inside);
        let dockerfile = format!("FROM busybox\n# {program}\nADD a /added/\nCOPY a /copied\n");
        let context = Context::of(&dockerfile).file("a", &archive).bytes();
        let whole = piped(program, arguments, &context);
        let built = engine.build_with(&[], &[], &whole);
        let listed = engine.output_of(
            &built.image(),
            "stat -c '%n %a %u:%g %Y' /added/*; cat /added/in; stat -c %s /copied",
        );
        assert_eq!(listed, format!("/added/in 4711 3:4 981173106\ninside\n{}\n", archive.len()), "{program}");
        let cut = engine.build_with(&[], &[], &whole[..whole.len() / 3]);
        assert_eq!(cut.status, 500, "{program}: {}", cut.said);
        assert!(cut.said.contains("build context"), "{program}: {}", cut.said);
    }
    for (body, want) in [
        (&b""[..], "the build context is empty"),
        (&[b'x'; 600], "the build context is no tar archive"),
        (&[0; 1024], "Cannot locate specified Dockerfile: Dockerfile"),
        (b"PK\x03\x04zip", "the build context ends before its end"),
    ] {
        let built = engine.build_with(&[], &[], body);
        assert_eq!(built.status, 500);
        assert!(built.said.starts_with(want), "{}", built.said);
    }
    engine.forget_builds();
}

#[test]
fn hostile_contexts_stay_in_their_place() {
    let engine = Engine::start();
    let canary = engine.directory().join("canary");
    fs::create_dir(&canary).expect("a directory outside");
    fs::write(canary.join("secret"), "secret\n").expect("a file outside");
    let (outside, secret) = (canary.display().to_string(), canary.join("secret").display().to_string());
    let up = "../".repeat(12);
    let all = "FROM busybox\nCOPY . /c\n";
    let list = "cd /c; find . -exec stat -c '%n %F %s' {} + | sort | grep -v Dockerfile";
    let climbed =
        Context::of(all).file(&format!("{up}evil"), "x").file("/absolute", "y").file("a/../../b", "z");
    let image = engine.build(&[], climbed).image();
    assert_eq!(
        engine.output_of(&image, list),
        ". directory 4096\n./absolute regular file 1\n./b regular file 1\n./evil regular file 1\n"
    );
    let odd = Context::of(all)
        .entry(Entry { name: "null", kind: EntryType::Char, mode: 0o666, ..Entry::default() })
        .entry(Entry { name: "pipe", kind: EntryType::Fifo, ..Entry::default() })
        .symlink("out", &outside);
    let image = engine.build(&[], odd).image();
    let listed = engine.output_of(&image, "cd /c; ls -l out | sed 's/.*-> //'; stat -c '%n %F' pipe");
    assert_eq!(listed, format!("{outside}\npipe fifo\n"));
    for (name, context, want) in [
        (
            "a file through a link",
            Context::of(all).symlink("l", &outside).file("l/evil", "x"),
            "cannot unpack l/evil of the build context: l is no directory".to_owned(),
        ),
        (
            "a hard link out",
            Context::of(all).entry(Entry {
                name: "h",
                kind: EntryType::Link,
                target: &secret,
                ..Entry::default()
            }),
            format!("cannot unpack h of the build context: the link's target {} is not in it", &secret[1..]),
        ),
        (
            "COPY of a link that leads out",
            Context::of("FROM busybox\nCOPY l /x\n").symlink("l", &secret),
            format!("Forbidden path outside the build context: l ({secret})"),
        ),
        (
            "COPY through a link that leads out",
            Context::of("FROM busybox\nCOPY l/secret /x\n").symlink("l", &format!("{up}{outside}")),
            format!("Forbidden path outside the build context: l/secret ({up}{outside})"),
        ),
        (
            "the Dockerfile is a link that leads out",
            Context::empty().symlink("Dockerfile", &secret),
            "Cannot locate specified Dockerfile: Dockerfile".to_owned(),
        ),
    ] {
        assert_eq!(engine.build(&[], context).failure(), want, "{name}");
    }
    let inner =
        Context::empty().symlink("l", &outside).file("l/evil", "x").file(&format!("{up}top"), "t").entry(
            Entry { name: "h", kind: EntryType::Link, target: "../../etc/passwd", ..Entry::default() },
        );
    let added = engine.build(&[], Context::of("FROM busybox\nADD a.tar /d/\n").file("a.tar", inner.bytes()));
    assert_eq!(
        added.failure(),
        "cannot unpack a.tar: cannot link \"h\" to \"etc/passwd\": no such file or directory"
    );
    let mut left: Vec<_> =
        fs::read_dir(&canary).expect("it").flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["secret"], "nothing was written outside");
    assert_eq!(fs::read_to_string(canary.join("secret")).expect("the file outside"), "secret\n");
    engine.forget_builds();
}

#[test]
fn dockerfiles_lie_anywhere_in_the_context() {
    let engine = Engine::start();
    let context = || {
        Context::of("FROM busybox\nCMD echo top\n")
            .file("other", "FROM busybox\nCMD echo other\n")
            .directory("sub/")
            .file("sub/D", "FROM busybox\nCOPY other /o\nCMD echo sub\n")
            .file("empty", "")
            .file("comments", "# one\n\n")
            .symlink("link", "sub/../other")
            .file(".dockerignore", "other\nDockerfile\n.dockerignore\n")
    };
    for (name, want) in [
        ("", "top\n"),
        ("other", "other\n"),
        ("sub/D", "sub\n"),
        ("./sub/../other", "other\n"),
        ("/other", "other\n"),
        ("link", "other\n"),
    ] {
        let image = engine.build(&[("dockerfile", name)], context()).image();
        let output = engine.output(&serde_json::json!({ "Image": image }));
        assert_eq!(output.stdout, want, "{name}");
    }
    for (name, want) in [
        ("nope", "Cannot locate specified Dockerfile: nope"),
        ("sub", "Cannot locate specified Dockerfile: sub"),
        ("../x", "The Dockerfile (../x) must be within the build context"),
        ("sub/../../x", "The Dockerfile (sub/../../x) must be within the build context"),
        ("/etc/passwd", "Cannot locate specified Dockerfile: /etc/passwd"),
        ("empty", "The Dockerfile (empty) cannot be empty"),
        ("comments", "No image was generated. Is your Dockerfile empty?"),
    ] {
        let built = engine.build(&[("dockerfile", name)], context());
        assert_eq!((built.status, built.failure()), (500, want), "{name}");
    }
    engine.forget_builds();
}

#[test]
fn addresses_give_dockerfiles_contexts_and_files() {
    let engine = Engine::start();
    let web = Service::web(&engine, 8000);
    web.page("D", "FROM busybox\nCMD echo from the web\n");
    let context = Context::of("FROM busybox\nCOPY . /c\n")
        .file("sub/D", "FROM busybox\nCMD echo sub\n")
        .file("docs/a.md", "a")
        .file("docs/deep/b.md", "b")
        .file("docs/keep.md", "k")
        .file("node/x/y", "y")
        .file("a.tmp", "t")
        .file(".dockerignore", "# comment\n**/*.md\n!docs/keep.md\nnode\n*.tmp\n!.dockerignore\n")
        .bytes();
    web.page("context.tar", &context);
    web.page("context.tar.gz", piped("gzip", &["-c"], &context));
    web.page("page.html", "<html>");
    let remote = |path: &str, more: &[(&str, &str)]| {
        let url = web.url(path);
        engine.build_with(&[&[("remote", url.as_str())], more].concat(), &[], b"")
    };
    let image = remote("D", &[("dockerfile", "ignored")]).image();
    assert_eq!(engine.output(&serde_json::json!({ "Image": image })).stdout, "from the web\n");
    for path in ["context.tar", "context.tar.gz"] {
        let built = remote(path, &[("nocache", "1")]);
        let listed = engine.output_of(&built.image(), "cd /c; find . -type f | sort");
        assert_eq!(listed, "./.dockerignore\n./Dockerfile\n./docs/keep.md\n./sub/D\n", "{path}");
        let first = &built.messages[0];
        assert_eq!((&first["status"], &first["id"]), (&web.url(path).into(), &"Downloading context".into()));
    }
    let image = remote("context.tar", &[("dockerfile", "sub/D")]).image();
    assert_eq!(engine.output(&serde_json::json!({ "Image": image })).stdout, "sub\n");
    for (path, status, want) in [
        (
            "nope",
            404,
            "Error downloading remote context http://127.0.0.1:8000/nope: Got HTTP status code >= 400: 404 Not Found",
        ),
        (
            "page.html",
            500,
            "Error detecting content type for remote http://127.0.0.1:8000/page.html: unsupported Content-Type \"text/html\"",
        ),
    ] {
        let built = remote(path, &[]);
        assert_eq!((built.status, built.failure()), (status, want));
    }
    let nope = remote("context.tar", &[("dockerfile", "nope")]);
    assert_eq!(nope.failure(), "Cannot locate specified Dockerfile: nope");
    engine.forget_builds();
}

#[test]
fn added_addresses_keep_their_time_and_are_asked_again() {
    let engine = Engine::start();
    let web = Service::web(&engine, 8000);
    let set_time = |name: &str| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_234_567_890);
        let file = fs::File::options().write(true).open(web.root().join(name)).expect("the page");
        file.set_modified(time).expect("its time");
    };
    web.page("f.txt", "one\n");
    set_time("f.txt");
    web.page("a.tar", Context::empty().file("in", "x").bytes());
    let build = || {
        let (file, archive) = (web.url("f.txt"), web.url("a.tar"));
        let text =
            format!("FROM busybox\nADD {file}?q=1#f /d/\nADD {file} /named\nADD {archive} /t/\nRUN true\n");
        engine.build(&[], Context::of(&text))
    };
    let first = build();
    let listed = engine.output_of(&first.image(), "stat -c '%n %a %u:%g %Y' /d/* /named; cat /named; ls /t");
    assert_eq!(listed, "/d/f.txt 600 0:0 1234567890\n/named 600 0:0 1234567890\none\na.tar\n");
    assert_eq!(build().cached(), 4, "the same content comes from the cache");
    web.page("f.txt", "two\n");
    set_time("f.txt");
    let changed = build();
    assert_eq!((changed.cached(), engine.output_of(&changed.image(), "cat /named").as_str()), (0, "two\n"));
    for (word, want) in [
        ("http://127.0.0.1:8000/nope", "Got HTTP status code >= 400: 404 Not Found"),
        ("http://127.0.0.1:1/x", "cannot get http://127.0.0.1:1/x: "),
        ("ftp://127.0.0.1/x", "ftp://127.0.0.1/x: no such file or directory"),
    ] {
        let built = engine.build(&[], Context::of(&format!("FROM busybox\nADD {word} /x\n")));
        assert!(built.failure().starts_with(want), "{word}: {}", built.failure());
    }
    engine.forget_builds();
}

/// Makes a repository with a submodule; gives the name of its first commit.
fn make_repositories(base: &Path, submodule: &str) -> String {
    for name in ["module", "main"] {
        fs::create_dir(base.join(name)).expect("a repository");
        let _ = git(&base.join(name), &["init", "-q"]);
    }
    let commit = |directory: &Path| {
        let _ = git(directory, &["add", "."]);
        let _ = git(directory, &["commit", "-q", "-m", "x"]);
        git(directory, &["rev-parse", "HEAD"])
    };
    let (module, main) = (base.join("module"), base.join("main"));
    fs::write(module.join("m"), "module\n").expect("a file");
    let _ = commit(&module);
    fs::write(main.join("Dockerfile"), "FROM busybox\nCOPY . /c\nCMD cat /c/text\n").expect("a file");
    fs::write(main.join("text"), "first\n").expect("a file");
    fs::create_dir_all(main.join("dir/inner")).expect("a directory");
    fs::write(main.join("dir/Dockerfile"), "FROM busybox\nCMD echo from the directory\n").expect("a file");
    fs::write(main.join("dir/inner/x.md"), "x").expect("a file");
    fs::write(main.join(".dockerignore"), "**/*.md\n").expect("a file");
    symlink("/etc", main.join("out")).expect("a link");
    let first = commit(&main);
    let _ = git(&main, &["tag", "v1"]);
    fs::write(main.join("text"), "second\n").expect("a file");
    let _ = git(&main, &["submodule", "--quiet", "add", "../module", "module"]);
    let modules = format!("[submodule \"module\"]\n\tpath = module\n\turl = {submodule}\n");
    fs::write(main.join(".gitmodules"), modules).expect("a file");
    let _ = commit(&main);
    let _ = git(&main, &["branch", "feature/x", "v1"]);
    first
}

#[test]
fn repositories_are_fetched_by_every_protocol() {
    let engine = Engine::start();
    let daemon = Service::git(&engine, 9418);
    let web = Service::web(&engine, 8000);
    let first = make_repositories(daemon.root(), &daemon.url("module"));
    let root = daemon.root().display().to_string();
    web.program("smart", &format!(
        "#!/bin/sh\nexport GIT_PROJECT_ROOT='{root}' GIT_HTTP_EXPORT_ALL=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory \
         GIT_CONFIG_VALUE_0='*'\nexec '{}'\n", git_program("git-http-backend")));
    let _ = git(
        daemon.root(),
        &["clone", "-q", "--bare", "main", &web.root().join("dumb.git").to_string_lossy()],
    );
    let _ = git(&web.root().join("dumb.git"), &["update-server-info"]);
    let _ = git(daemon.root(), &["clone", "-q", "--bare", "main", "smart.git"]);
    let build = |remote: &str| engine.build_with(&[("remote", remote)], &[], b"");
    let text = |remote: &str| engine.output(&serde_json::json!({ "Image": build(remote).image() })).stdout;
    for base in [daemon.url("main"), web.url("cgi-bin/smart/smart.git"), web.url("dumb.git")] {
        assert_eq!(text(&base), "second\n", "{base}");
        let files = engine.output_of(&build(&base).image(), "cd /c; find . ! -type d | sort; cat module/m");
        assert_eq!(
            files,
            "./.dockerignore\n./.gitmodules\n./Dockerfile\n./dir/Dockerfile\n./module/m\n./out\n./text\nmodule\n",
            "{base}"
        );
        assert_eq!(text(&format!("{base}#v1")), "first\n", "{base}");
        assert_eq!(text(&format!("{base}#feature/x:")), "first\n", "{base}");
        assert_eq!(text(&format!("{base}#{first}")), "first\n", "{base}");
        assert_eq!(text(&format!("{base}#:dir")), "from the directory\n", "{base}");
        assert_eq!(text(&format!("{base}#main:/dir/")), "from the directory\n", "{base}");
    }
    for (rest, want) in [
        ("#none", "Error trying to use git: "),
        ("#:none", "Error trying to use git: the repository has no directory \"none\""),
        ("#:out", "Error trying to use git: the repository has no directory \"out\""),
        ("#:../module", "Error trying to use git: the repository has no directory \"../module\""),
        ("#:text", "Error trying to use git: the repository has no directory \"text\""),
    ] {
        let built = build(&daemon.url(&format!("main{rest}")));
        assert_eq!(built.status, 500, "{rest}: {}", built.said);
        assert!(built.failure().starts_with(want), "{rest}: {}", built.failure());
    }
    engine.forget_builds();
}

#[test]
fn addresses_of_repositories_run_nothing_here() {
    let engine = Engine::start();
    let daemon = Service::git(&engine, 9418);
    let local = daemon.root().join("module").display().to_string();
    let _ = make_repositories(daemon.root(), &local);
    let witness = engine.directory().join("witness").display().to_string();
    for remote in [
        format!("ext::sh -c touch% {witness}"),
        format!("git://127.0.0.1/main#--upload-pack=touch {witness}"),
        format!("git://127.0.0.1/main#--upload-pack=touch${{IFS}}{witness}"),
        format!("git://127.0.0.1/main#;touch {witness}"),
        format!("git://127.0.0.1/main;touch {witness}"),
        format!("--upload-pack=touch {witness}"),
        format!("ssh://-oProxyCommand=touch%20{witness}/x.git"),
        format!("git@-oProxyCommand=touch {witness}:x.git"),
        format!("git://127.0.0.1/main#$(touch {witness})"),
        format!("file://{local}"),
        format!("file://{local}/.git"),
        local.clone(),
        "/etc/passwd".to_owned(),
        "foo".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "http://".to_owned(),
    ] {
        let built = engine.build_with(&[("remote", &remote)], &[], b"");
        assert_eq!(built.status, 500, "{remote}: {}", built.said);
        assert!(!Path::new(&witness).exists(), "{remote} ran a command");
    }
    let submodule = engine.build_with(&[("remote", &daemon.url("main"))], &[], b"");
    assert!(submodule.failure().contains("transport 'file' not allowed"), "{}", submodule.failure());
    engine.forget_builds();
}
