//! Features of Dockerfiles since the reference: mounts, here-documents, flags of COPY and ADD, arguments of platforms.

use std::path::PathBuf;
use std::sync::Arc;

use images::document::Config;
use model::{MountKind, NetworkMode};

use crate::fixture::{Archive, Fixture, context};
use crate::{BuildRequest, ContextSource, Order, Provisions, StepError, Wording};

fn configuration(image: &images::Image) -> Config {
    image.config.config.clone().expect("a configuration")
}

#[test]
fn mounts_reach_the_container_and_no_image() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base AS one\nRUN mkdir /dir; echo x > /dir/f\nFROM base\nWORKDIR /w\n\
        RUN --mount=type=bind,from=one,source=/dir,target=/b --mount=target=c --mount=type=tmpfs,target=/t,size=1m \
        --mount=type=cache,target=/cache --network=none echo hi\n";
    let image = fixture.image(context(dockerfile).file("ctx", "1"));
    let created = fixture.runner.created.lock().expect("a lock");
    let (_, step) = created.last().expect("a container");
    let mounts = step.host.mounts.as_ref().expect("mounts");
    let targets: Vec<_> = mounts.iter().map(|mount| (mount.target.as_str(), mount.read_only)).collect();
    assert_eq!(targets, [("/b", true), ("/w/c", true), ("/t", false), ("/cache", false)]);
    assert!(matches!(&mounts[0].kind, MountKind::Image { subpath, .. } if subpath == "dir"), "{mounts:?}");
    assert!(matches!(mounts[2].kind, MountKind::Tmpfs { size: Some(1_048_576), .. }));
    assert_eq!(step.host.network_mode, NetworkMode::None);
    assert_eq!(configuration(&image).cmd, None);
    drop(created);
    let caches = fixture.builder.cache_records().expect("a list");
    assert_eq!(
        caches.iter().map(|cache| (cache.description.as_str(), cache.in_use)).collect::<Vec<_>>(),
        [("cached mount /cache", false)]
    );
}

#[test]
fn a_mount_of_the_context_is_part_of_the_cache_key() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nRUN --mount=target=/m,source=f echo x > /x\n";
    let first = fixture.image(context(dockerfile).file("f", "1").file("g", "1"));
    let second = fixture.image(context(dockerfile).file("f", "1").file("g", "2"));
    let third = fixture.image(context(dockerfile).file("f", "2").file("g", "2"));
    assert_eq!(first.id, second.id, "another file changed");
    assert_ne!(second.id, third.id);
    let missing = fixture.stream("RUN --mount=target=/m,source=nosuch true");
    assert!(missing.ends_with("ERROR nosuch: no such file or directory"), "{missing}");
}

/// A client with one secret and no agent.
struct Secrets;

impl Provisions for Secrets {
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, StepError> {
        Ok((id == "token").then(|| b"hunter2".to_vec()))
    }

    fn ssh_agent(&self, _: &str) -> Result<Option<PathBuf>, StepError> {
        Ok(None)
    }
}

#[test]
fn secrets_are_files_and_variables_of_their_step_alone() {
    let fixture = Fixture::new();
    let build = |text: &str| {
        let body = context(text).bytes();
        let mut request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(body))));
        request.provisions = Some(Arc::new(Secrets));
        request.order = Order::Graph;
        fixture.build_request(request).result
    };
    let image = build(
        "FROM base\nRUN --mount=type=secret,id=token,env=TOKEN,mode=0440 --mount=type=secret,id=token,target=/s \
         --mount=type=secret,id=nosuch --mount=type=ssh echo x > /x\n",
    );
    let image = fixture.store.image(&image.expect("an image")).expect("an image");
    let created = fixture.runner.created.lock().expect("a lock");
    let (_, step) = created.last().expect("a container");
    assert!(step.config.env.as_ref().is_some_and(|env| env.contains(&"TOKEN=hunter2".to_owned())));
    let mounts = step.host.mounts.as_ref().expect("mounts");
    assert_eq!(mounts.iter().map(|mount| mount.target.as_str()).collect::<Vec<_>>(), ["/s"]);
    let MountKind::Bind { source, .. } = &mounts[0].kind else { panic!("no bind") };
    assert!(!PathBuf::from(source).exists(), "the secret outlives its step");
    let document = serde_json::to_string(&image.config).expect("a document");
    assert!(!document.contains("hunter2"), "{document}");
    drop(created);
    let missing =
        build("FROM base\nRUN --mount=type=secret,id=nosuch,required echo x\n").expect_err("a refusal");
    assert_eq!(missing.to_string(), "the client has no secret nosuch, which the step requires");
    assert_eq!(
        fixture.stream("RUN --mount=type=secret,id=token echo x"),
        "Step 1 : RUN --mount=type=secret,id=token echo x\nERROR RUN --mount=type=secret needs a client that speaks \
         BuildKit's protocol, as docker buildx build does"
    );
}

#[test]
fn here_documents_are_run_and_copied() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nENV name=world\nRUN <<EOF\necho one > /one\nEOF\n\
        RUN <<'E'\n#!/bin/other\nx $name\nE\n\
        COPY --chmod=u=rwx,go=r --chown=3:4 <<plain <<\"quoted\" /d/\nhello \"$name\"\nplain\n$name\nquoted\n";
    let image = fixture.image(context(dockerfile));
    assert_eq!(fixture.read(&image, "d/plain"), "hello \"world\"\n");
    assert_eq!(fixture.read(&image, "d/quoted"), "$name\n");
    assert!(fixture.files(&image).contains(&"d/plain 744 3:4 14".to_owned()), "{:?}", fixture.files(&image));
    let created = fixture.runner.created.lock().expect("a lock");
    let words = |number: usize| created[number].1.config.cmd.clone().expect("a command").0;
    assert_eq!(words(0), ["/bin/sh", "-c", "echo one > /one\n"]);
    assert_eq!(words(1), ["/dev/pipes/E"]);
}

fn source() -> Archive {
    Archive::new()
        .file("a/x.txt", "1")
        .file("a/y.md", "2")
        .file("a/b/z.txt", "3")
        .file("a/b/w.md", "4")
        .file("top.txt", "5")
}

/// The names of what a file's last step made.
fn made(dockerfile: &str) -> Vec<String> {
    let fixture = Fixture::new();
    let image = fixture.image(source().file("Dockerfile", format!("FROM base\n{dockerfile}\n")));
    let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    fixture.top_layer(&image).iter().map(name).collect()
}

#[test]
fn copies_leave_out_and_keep_parents() {
    for (dockerfile, want) in [
        ("COPY --exclude=*.md a /d/", vec!["d/", "d/b/", "d/b/w.md", "d/b/z.txt", "d/x.txt"]),
        ("COPY --exclude=**/*.md a /d/", vec!["d/", "d/b/", "d/b/z.txt", "d/x.txt"]),
        ("COPY --exclude=b --exclude=*.md a /d/", vec!["d/", "d/x.txt"]),
        ("COPY --exclude=*.md a/* /d/", vec!["d/", "d/x.txt", "d/z.txt"]),
        ("COPY --parents a/x.txt a/b/z.txt /d/", vec!["d/", "d/a/", "d/a/b/", "d/a/b/z.txt", "d/a/x.txt"]),
        ("COPY --parents ./a/./b/z.txt /d/", vec!["d/", "d/b/", "d/b/z.txt"]),
        ("COPY --parents a/./**/*.txt /d/", vec!["d/", "d/b/", "d/b/z.txt", "d/x.txt"]),
        ("COPY --parents --exclude=*.md a/b /d/", vec!["d/", "d/a/", "d/a/b/", "d/a/b/z.txt"]),
        ("COPY --link top.txt /e/f/", vec!["e/", "e/f/", "e/f/top.txt"]),
        (
            "COPY --link --chown=1 a/ /etc/",
            vec!["etc/", "etc/b/", "etc/b/w.md", "etc/b/z.txt", "etc/x.txt", "etc/y.md"],
        ),
    ] {
        assert_eq!(made(dockerfile), want, "{dockerfile}");
    }
}

#[test]
fn parents_have_the_rights_and_the_owners_that_they_have_in_the_source() {
    let fixture = Fixture::new();
    let directory = |archive: Archive, name: &str, mode: u32| {
        archive.entry(name, tar::EntryType::Directory, |header| header.set_mode(mode), b"")
    };
    let archive = directory(directory(Archive::new(), "d/", 0o700), "d/q/", 0o2750).file("d/q/f", "1");
    let dockerfile = "FROM base AS made\nRUN mkdir /p; mkdir /p/q; echo 1 > /p/q/f; chmod /p\nFROM base\n\
        COPY --parents d/q/f /a/\nCOPY --parents --chown=5:6 d/q/f /b/\nCOPY --parents --chmod=640 d/q/f /c/\n\
        COPY --parents d/./q/f /d/\nCOPY --parents d/q/f /a/\nCOPY --parents --from=made /p/q/f /e/\n";
    let built =
        fixture.build_with(archive.file("Dockerfile", dockerfile), |request| request.order = Order::Graph);
    let image = fixture.store.image(&built.result.expect("an image")).expect("an image");
    let files = fixture.files(&image);
    for want in [
        "a/ 755 0:0",
        "a/d/ 700 0:0",
        "a/d/q/ 2750 0:0",
        "b/ 755 5:6",
        "b/d/ 700 5:6",
        "b/d/q/ 2750 5:6",
        "c/ 640 0:0",
        "c/d/ 640 0:0",
        "c/d/q/ 640 0:0",
        "d/q/ 2750 0:0",
        "e/p/ 700 0:0",
    ] {
        assert!(files.contains(&want.to_owned()), "{want}: {files:?}");
    }
}

#[test]
fn a_file_that_is_named_is_not_left_out_in_a_graph() {
    let fixture = Fixture::new();
    let dockerfile = "FROM base\nCOPY --exclude=*.txt a/x.txt top* a/[xy]* /d/\n";
    let built =
        fixture.build_with(source().file("Dockerfile", dockerfile), |request| request.order = Order::Graph);
    let image = fixture.store.image(&built.result.expect("an image")).expect("an image");
    let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    let names: Vec<_> = fixture.top_layer(&image).iter().map(name).collect();
    assert_eq!(names, ["d/", "d/x.txt", "d/y.md"]);
}

#[test]
fn linked_layers_stay_when_the_image_below_changes() {
    let fixture = Fixture::new();
    let image = |step: &str| {
        fixture.image(source().file("Dockerfile", format!("FROM base\nRUN {step}\nCOPY --link a /d/\n")))
    };
    let (first, second) = (image("echo 1 > /1"), image("echo 2 > /2"));
    let last = |image: &images::Image| image.config.rootfs.diff_ids.last().copied();
    assert_ne!(first.id, second.id);
    assert_eq!(last(&first), last(&second));
}

#[test]
fn platforms_are_arguments() {
    let fixture = Fixture::new();
    let host = images::registry::Platform::host();
    let dockerfile = "FROM --platform=$BUILDPLATFORM base\nARG TARGETARCH\nARG TARGETOS=other\nARG BUILDPLATFORM\n\
        LABEL a=$TARGETARCH b=$TARGETOS c=$BUILDPLATFORM d=$TARGETPLATFORM\n";
    let image = fixture.image(context(dockerfile));
    let labels = configuration(&image).labels.expect("labels");
    let label = |name: &str| labels[name].clone();
    assert_eq!(label("a"), host.architecture);
    assert_eq!((label("b").as_str(), label("d").as_str()), ("other", ""));
    assert_eq!(label("c"), host.to_string());
}

#[test]
fn a_working_directory_is_made_since_1_24() {
    let fixture = Fixture::new();
    for (wording, want) in [(Wording::Reference, false), (Wording::Today, true)] {
        let built =
            fixture.build_with(context("FROM base\nWORKDIR /lib/w\n"), |request| request.wording = wording);
        let image = fixture.store.image(&built.result.expect("an image")).expect("an image");
        let files = fixture.files(&image);
        assert_eq!(files.iter().any(|file| file.starts_with("usr/lib/w/ 755 0:0")), want, "{files:?}");
    }
}

#[test]
fn ignore_files_may_belong_to_a_dockerfile() {
    let fixture = Fixture::new();
    let archive = source()
        .file("other", "FROM base\nCOPY . /d/\n")
        .file("other.dockerignore", "a\nother*\n")
        .file(".dockerignore", "top.txt\n");
    let built = fixture.build_with(archive, |request| request.dockerfile = Some("other".to_owned()));
    let image = fixture.store.image(&built.result.expect("an image")).expect("an image");
    let files = fixture.top_layer(&image);
    let names: Vec<_> = files.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(names, ["d/", "d/.dockerignore", "d/top.txt"]);
}
