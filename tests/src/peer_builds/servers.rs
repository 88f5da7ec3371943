//! What the cases take from elsewhere: pages, and a repository whose commits are always the same.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::registry::gzip;
use crate::{Engine, Service, tarball};

use super::TIME;

/// The servers in the network of an engine: `http://127.0.0.1:8000/` and `git://127.0.0.1:9418/`.
#[derive(Debug)]
pub struct Servers {
    _web: Service,
    _git: Service,
}

impl Servers {
    /// Starts them.
    ///
    /// # Panics
    /// When busybox or git is not installed.
    #[must_use]
    pub fn start(engine: &Engine) -> Self {
        let web = Service::web(engine, 8000);
        let page = |name: &str, content: &[u8]| {
            web.page(name, content);
            let file = File::options().write(true).open(web.root().join(name)).expect("the page");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(TIME)).expect("its time");
        };
        page("page.txt", b"from the web\n");
        let archive = tarball::of(&[("packed/", ""), ("packed/one", "1"), ("two", "22")]);
        page("archive.tar", &archive);
        page("archive.tar.gz", &gzip(&archive));
        let git = Service::git(engine, 9418);
        repository(&git.root().join("sources"));
        Self { _web: web, _git: git }
    }
}

fn repository(directory: &Path) {
    fs::create_dir_all(directory.join("sub")).expect("the repository");
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("a file");
    run(directory, &["init", "--quiet"]);
    write("file", "first\n");
    write("sub/deep", "deep\n");
    commit(directory, "first");
    run(directory, &["tag", "v1"]);
    write("file", "second\n");
    write(".gitattributes", "");
    commit(directory, "second");
}

fn commit(directory: &Path, message: &str) {
    run(directory, &["add", "--all"]);
    run(directory, &["commit", "--quiet", "--message", message]);
}

fn run(directory: &Path, words: &[&str]) {
    let date = format!("{TIME} +0000");
    let mut command = Command::new("git");
    command.args(["-c", "init.defaultBranch=main"]).args(words).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@b");
        command.env(format!("GIT_{role}_DATE"), &date);
    }
    assert!(command.status().expect("git").success(), "git {words:?}");
}
