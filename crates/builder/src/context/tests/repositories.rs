//! Git repositories as contexts, from a `git daemon` of the test's own.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use super::remote;
use crate::fixture::{Fixture, Temporary};

fn git(directory: &Path, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    command.args(["-c", "init.defaultBranch=master"]).args(words).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A `git daemon` that serves a directory at a port of the test's own: one process for each connection.
struct GitDaemon {
    port: u16,
}

impl GitDaemon {
    fn start(base: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let directory = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let program = Path::new(String::from_utf8(directory).unwrap().trim()).join("git-daemon");
        let base = format!("--base-path={}", base.display());
        std::thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                let mut daemon = Command::new(&program)
                    .args(["--inetd", "--export-all", "--log-destination=none", &base])
                    .stdin(OwnedFd::from(client.try_clone().unwrap()))
                    .stdout(OwnedFd::from(client))
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                std::thread::spawn(move || daemon.wait());
            }
        });
        Self { port }
    }

    fn url(&self, rest: &str) -> String {
        format!("git://127.0.0.1:{}/{rest}", self.port)
    }
}

/// Makes two repositories, one of them the other's submodule, and returns a commit's name.
fn make_repositories(base: &Path, submodule_url: &str) -> String {
    for name in ["module", "main"] {
        std::fs::create_dir(base.join(name)).unwrap();
        git(&base.join(name), &["init", "-q"]);
    }
    let module = base.join("module");
    std::fs::write(module.join("m"), "module\n").unwrap();
    git(&module, &["add", "m"]);
    git(&module, &["commit", "-q", "-m", "x"]);
    let main = base.join("main");
    std::fs::write(main.join("Dockerfile"), "FROM base\nCOPY . /c\n").unwrap();
    std::fs::create_dir(main.join("sub")).unwrap();
    std::fs::write(main.join("sub/Dockerfile"), "FROM base\nLABEL at=sub\n").unwrap();
    std::fs::write(main.join("skip.md"), "x").unwrap();
    std::fs::write(main.join(".dockerignore"), "*.md\n").unwrap();
    std::os::unix::fs::symlink("/etc", main.join("out")).unwrap();
    git(&main, &["add", "."]);
    git(&main, &["commit", "-q", "-m", "one"]);
    git(&main, &["tag", "v1"]);
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(&main).output().unwrap();
    git(&main, &["submodule", "--quiet", "add", "../module", "module"]);
    std::fs::write(
        main.join(".gitmodules"),
        format!("[submodule \"module\"]\n\tpath = module\n\turl = {submodule_url}\n"),
    )
    .unwrap();
    git(&main, &["commit", "-q", "-a", "-m", "two"]);
    git(&main, &["branch", "feature/x"]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn repositories_are_contexts() {
    let fixture = Fixture::new();
    let base = Temporary::new();
    let daemon = GitDaemon::start(base.path());
    let commit = make_repositories(base.path(), &daemon.url("module"));
    let names = |remote_address: &str| -> Result<Vec<String>, String> {
        let built = remote(&fixture, remote_address, |_| {});
        let image = fixture.store.image(&built.result.map_err(|error| error.to_string())?).unwrap();
        let lines = fixture.top_layer(&image);
        Ok(lines.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect())
    };
    let plain = ["c/ 755 0:0", "c/.dockerignore 644 0:0", "c/Dockerfile 644 0:0"];
    let one = [plain.as_slice(), &["c/out 777 0:0", "c/sub/ 755 0:0", "c/sub/Dockerfile 644 0:0"]].concat();
    let two = [
        &plain[..2],
        &["c/.gitmodules 644 0:0", "c/Dockerfile 644 0:0", "c/module/ 755 0:0", "c/module/m 644 0:0"],
        &one[3..],
    ]
    .concat();
    assert_eq!(names(&daemon.url("main")).unwrap(), two);
    assert_eq!(names(&daemon.url("main#feature/x")).unwrap(), two);
    assert_eq!(names(&daemon.url("main#v1")).unwrap(), one);
    assert_eq!(names(&daemon.url("main?tag=v1")).unwrap(), one);
    assert_eq!(names(&daemon.url("main?branch=feature/x")).unwrap(), two);
    assert_eq!(names(&daemon.url(&format!("main?ref=v1&commit={}", &commit[..8]))).unwrap(), one);
    let other = names(&daemon.url(&format!("main?commit={commit}"))).unwrap_err();
    assert!(other.contains(&commit), "{other}");
    let bare = names(&daemon.url("main?submodules=0")).unwrap();
    assert!(!bare.contains(&"c/module/m 644 0:0".to_owned()), "{bare:?}");
    let whole = names(&daemon.url("main?keep-git-dir=1")).unwrap();
    assert!(whole.contains(&"c/.git/HEAD 644 0:0".to_owned()), "{whole:?}");
    assert_eq!(names(&daemon.url(&format!("main#{commit}"))).unwrap(), one);
    for of_directory in ["main#:sub", "main?subdir=sub"] {
        let sub = remote(&fixture, &daemon.url(of_directory), |_| {});
        assert!(sub.text.contains("LABEL at sub"), "{}", sub.text);
    }
    for (rest, want) in [
        ("main#:nosuch", "Error trying to use git: the repository has no directory \"nosuch\""),
        ("main#:out", "Error trying to use git: the repository has no directory \"out\""),
        ("main#:../module", "Error trying to use git: the repository has no directory \"../module\""),
        ("main#nosuch", "Error trying to use git: exit status: 128 ("),
        ("nosuch", "Error trying to use git: exit status: 128 ("),
        ("main#--upload-pack=touch", "Error trying to use git: invalid reference"),
    ] {
        let text = names(&daemon.url(rest)).unwrap_err();
        assert!(text.starts_with(want), "{rest}: {text}");
    }
}

#[test]
fn submodules_of_this_machine_are_refused() {
    let fixture = Fixture::new();
    let base = Temporary::new();
    let daemon = GitDaemon::start(base.path());
    make_repositories(base.path(), base.join("module").to_str().unwrap());
    let text = remote(&fixture, &daemon.url("main"), |_| {}).result.unwrap_err().to_string();
    assert!(text.contains("transport 'file' not allowed"), "{text}");
}
