//! Images built here run on Debian's dockerd, those built there run here; the real clients build.

use std::fs;
use std::process::{Child, Command, Stdio};

use berth_tests::{Address, Client, Context, Engine, cli, wait};
use rustix::process::{Pid, Signal, kill_process};

/// What layers can do to each other: replaced, removed and hidden names, links, modes, owners.
const LAYERS: &str = "FROM busybox\nCOPY . /c\nRUN ln /c/f /c/hard && ln -s f /c/soft && chmod 4711 /c/hard && chown -h 5:6 /c/soft /c/g\n\
    RUN rm /etc/profile && rm -r /home && mkdir -m 700 /home && echo new > /home/new\n\
    RUN mkdir /d && touch /d/a /d/b && mkfifo /d/pipe\nRUN rm /d/a && mv /d /moved && rm -r /var && echo file > /var\n\
    ENV from=build x=\"a b\"\nWORKDIR /c\nUSER alice\nCMD id -u; pwd; echo \"$from $x\"\n";
const DESCRIBE: &str = "cd / && set c home moved etc/profile var && find $@ 2>/dev/null ! -type d -exec stat -c '%n %F %a %u:%g %h' {} + | sort; \
    find $@ 2>/dev/null -type d -exec stat -c '%n %F %a %u:%g' {} + | sort; cat /home/new /var /c/soft";

fn context() -> Context {
    Context::of(LAYERS).file("f", "f\n").file("g", "g\n").directory("e/").file("e/deep", "d\n")
}

/// Debian's dockerd in the engine's network namespace and a mount namespace of its own.
struct Dockerd {
    process: Child,
    client: Client,
}

impl Dockerd {
    fn start(engine: &Engine) -> Self {
        let root = engine.directory().join("dockerd");
        fs::create_dir(&root).expect("dockerd's directory");
        let at = |name: &str| root.join(name).display().to_string();
        let log = fs::File::create(root.join("log")).expect("dockerd's log");
        let process = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", engine.network_pid()))
            .args(["unshare", "--mount", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args([
                "--host",
                &format!("unix://{}", at("sock")),
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("run"),
            ])
            .args(["--pidfile", &at("pid")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("nsenter (util-linux)");
        let client = Client::new(Address::Unix(root.join("sock")));
        let dockerd = Self { process, client };
        wait::until("dockerd (Debian's package docker.io) to answer", || {
            dockerd
                .client
                .attempt("GET", "/_ping", &[], b"")
                .is_ok_and(|answer| answer.status() == 200)
                .then_some(())
        });
        dockerd
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

/// Carries an image from one engine to another in a tarball.
fn carry(from: &Client, to: &Client, image: &str) {
    let saved = from.get(&format!("/images/{image}/get")).expect(200);
    let loaded =
        to.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &saved.body).expect(200);
    assert!(!loaded.text().contains("\"error\""), "{}", loaded.text());
}

/// What an image's own command writes, and what its files are.
fn seen(engine: &Client, image: &str) -> (String, String) {
    let own = engine.output(&serde_json::json!({ "Image": image, "HostConfig": { "NetworkMode": "none" } }));
    (own.stdout + &own.stderr, engine.output_of(image, DESCRIBE))
}

#[test]
fn images_are_exchanged_with_dockerd() {
    let engine = Engine::start();
    let dockerd = Dockerd::start(&engine);
    let _ = engine.build(&[("t", "built-here")], context()).image();
    let here = seen(&engine, "built-here");
    assert_eq!(here.0, "1000\n/c\nbuild a b\n");
    assert!(
        here.1.contains("moved/b regular")
            && !here.1.contains("moved/a")
            && here.1.ends_with("new\nfile\nf\n"),
        "{}",
        here.1
    );
    carry(&engine, &dockerd.client, "built-here");
    assert_eq!(seen(&dockerd.client, "built-here"), here, "dockerd runs what was built here");
    carry(&engine, &dockerd.client, "busybox");
    let _ = dockerd.client.build(&[("t", "built-there")], context()).image();
    let there = seen(&dockerd.client, "built-there");
    assert_eq!(there, here, "both build the same");
    carry(&dockerd.client, &engine, "built-there");
    assert_eq!(seen(&engine, "built-there"), here, "what dockerd built runs here");
    let again = Context::of("FROM built-there\nUSER root\nRUN cat /home/new > /n && rm -r /c\nCMD cat /n\n");
    assert_eq!(engine.build_and_run(again, "cat /n; ls /c"), "new\n");
    engine.forget_builds();
}

#[test]
fn the_real_clients_build() {
    let engine = Engine::start();
    let directory = engine.directory().join("project");
    fs::create_dir_all(directory.join("sub")).expect("the project");
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("a file");
    write("Dockerfile", "FROM busybox\nARG a=none\nCOPY . /p\nRUN echo $a > /a\nCMD cat /a; ls /p\n");
    write("sub/Other", "FROM busybox\nCMD echo other\n");
    write(".dockerignore", "*.log\n!kept.log\nsub\n");
    write("big.log", "x");
    write("kept.log", "x");
    let path = directory.display().to_string();
    for docker in cli::clients(&engine) {
        let version = docker.version();
        let built = docker.ok(&[
            "build",
            "-t",
            "mine",
            "-t",
            "also:v2",
            "--build-arg",
            "a=given",
            "--no-cache",
            &path,
        ]);
        assert!(built.contains("Successfully built "), "{version}: {built}");
        assert_eq!(docker.ok(&["run", "--rm", "also:v2"]), "given\nDockerfile\nkept.log", "{version}");
        let _ = docker.ok(&["build", "-q", "-t", "other", "-f", &format!("{path}/sub/Other"), &path]);
        assert_eq!(docker.ok(&["run", "--rm", "other"]), "other", "{version}");
        let piped = docker.run_with_input(&["build", "-t", "piped", "-"], b"FROM busybox\nCMD echo piped\n");
        assert_eq!((piped.code, docker.ok(&["run", "--rm", "piped"]).as_str()), (0, "piped"), "{version}");
        write("sub/Bad", "FROM busybox\nRUN exit 9\n");
        let bad = docker.run(&["build", "-f", &format!("{path}/sub/Bad"), "--force-rm", &path]);
        assert_eq!(bad.code, 9, "{version}: {bad:?}");
        assert!(
            bad.stderr.contains("The command '/bin/sh -c exit 9' returned a non-zero code: 9"),
            "{version}: {bad:?}"
        );
        engine.forget_builds();
    }
}
