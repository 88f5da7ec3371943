//! The tests' environment: contexts in memory, a store in a temporary directory, a runner without containers.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use images::registry::Cancellation;
use images::{ImportOptions, Store};
use model::{ContainerId, Digest, ErrorKind, ImageReference};

use crate::fake_puller::FakePuller;
use crate::listing::list_tree;
use crate::{
    BuildError, BuildEvent, BuildRequest, Builder, ContextSource, MadeContainer, OutputStream, RunStep,
    Session, StepError, StepRunner,
};

/// A directory that is removed with its test.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("berth-builder-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = images::remove_tree(&self.0);
    }
}

/// Longer names have an entry of their own before the entry (GNU tar manual, "Basic Tar Format").
const SHORT_NAME: usize = 100;

/// A tar being made.
pub(crate) struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds an entry with every field given.
    pub(crate) fn entry(
        mut self,
        name: &str,
        kind: tar::EntryType,
        change: impl Fn(&mut tar::Header),
        data: &[u8],
    ) -> Self {
        if name.len() > SHORT_NAME {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::GNULongName);
            header.set_size(name.len() as u64);
            header.set_cksum();
            self.0.append(&header, name.as_bytes()).unwrap();
        }
        let name = &name[..name.len().min(SHORT_NAME)];
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(1_420_070_400);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        // The name as it is, `..` and a leading `/` included.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(name, tar::EntryType::Regular, |_| {}, data.as_ref())
    }

    pub(crate) fn file_of(self, name: &str, data: &str, mode: u32, user: u64, group: u64) -> Self {
        let change = |header: &mut tar::Header| {
            header.set_mode(mode);
            header.set_uid(user);
            header.set_gid(group);
        };
        self.entry(name, tar::EntryType::Regular, change, data.as_bytes())
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(name, tar::EntryType::Directory, |header| header.set_mode(0o755), b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, tar::EntryType::Symlink, |header| header.set_link_name_literal(target).unwrap(), b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, tar::EntryType::Link, |header| header.set_link_name_literal(target).unwrap(), b"")
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A context with a Dockerfile.
pub(crate) fn context(dockerfile: &str) -> Archive {
    Archive::new().file("Dockerfile", dockerfile)
}

/// Runs steps by a few commands of its own, `;` between them.
pub(crate) struct FakeRunner {
    directory: PathBuf,
    store: Store,
    pub(crate) created: Mutex<Vec<(ContainerId, RunStep)>>,
    pub(crate) alive: Mutex<HashMap<ContainerId, String>>,
    pub(crate) runs: AtomicUsize,
    /// How many steps wait for each other.
    meeting: AtomicUsize,
}

impl FakeRunner {
    fn upper(&self, container: &ContainerId) -> PathBuf {
        self.directory.join(container.as_str())
    }
}

fn failed(error: std::io::Error) -> StepError {
    StepError::new(ErrorKind::Internal, error)
}

impl StepRunner for FakeRunner {
    fn finish(&self) {}

    fn create(&self, step: &RunStep) -> Result<MadeContainer, StepError> {
        let id = step.id.clone();
        if let Some(image) = &step.image {
            let missing = |error| StepError::new(ErrorKind::NotFound, error);
            self.store.image(image).map_err(missing)?;
        }
        fs::create_dir(self.upper(&id)).map_err(failed)?;
        let words = step.config.cmd.clone().map(|cmd| cmd.0).unwrap_or_default();
        self.alive.lock().unwrap().insert(id.clone(), words.last().cloned().unwrap_or_default());
        self.created.lock().unwrap().push((id.clone(), step.clone()));
        let is_limited = step.host.resources.memory > 0;
        let warnings = is_limited.then(|| "memory is left off".to_owned()).into_iter().collect();
        Ok(MadeContainer { warnings })
    }

    fn run(
        &self,
        container: &ContainerId,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Result<i64, StepError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let script = self.alive.lock().unwrap()[container].clone();
        let upper = self.upper(container);
        let place = |path: &str| upper.join(path.trim_start_matches('/'));
        for command in script.split(';').map(str::trim) {
            let words: Vec<_> = command.split(' ').collect();
            match words[..] {
                ["exit", code] => return Ok(code.parse().unwrap()),
                ["echo", text, ">&2"] => output(OutputStream::Stderr, format!("{text}\n").as_bytes()),
                ["echo", text, ">", path] => fs::write(place(path), format!("{text}\n")).unwrap(),
                ["echo", text] => output(OutputStream::Stdout, format!("{text}\n").as_bytes()),
                ["mkdir", path] => fs::create_dir(place(path)).unwrap(),
                ["chmod", path] => {
                    fs::set_permissions(place(path), fs::Permissions::from_mode(0o700)).unwrap()
                }
                ["ln", target, path] => symlink(target, place(path)).unwrap(),
                ["wait"] => {
                    while !cancellation.is_cancelled() {
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                    return Ok(137);
                }
                ["meet"] => {
                    self.meeting.fetch_add(1, Ordering::Relaxed);
                    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
                    while self.meeting.load(Ordering::Relaxed) < 2 {
                        if std::time::Instant::now() > end {
                            return Ok(1);
                        }
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                }
                ["pause"] => std::thread::sleep(std::time::Duration::from_millis(200)),
                ["fail"] => {
                    return Err(StepError::new(
                        ErrorKind::NotFound,
                        "[8] System error: no such file or directory",
                    ));
                }
                _ => {}
            }
        }
        Ok(0)
    }

    fn changes(&self, container: &ContainerId) -> Result<PathBuf, StepError> {
        Ok(self.upper(container))
    }

    fn remove(&self, container: &ContainerId) -> Result<(), StepError> {
        let removed = self.alive.lock().unwrap().remove(container);
        assert!(removed.is_some(), "removed twice: {container}");
        images::remove_tree(&self.upper(container)).map_err(failed)
    }
}

/// A store with a base image, and a builder.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) builder: Builder,
    pub(crate) runner: FakeRunner,
    pub(crate) puller: FakePuller,
    pub(crate) cancellation: Cancellation,
    pub(crate) temporary: Temporary,
}

/// The result of a build: its stream in the short form of [`shorten`], and its image.
pub(crate) struct Built {
    pub(crate) text: String,
    pub(crate) events: Vec<BuildEvent>,
    pub(crate) result: Result<Digest, BuildError>,
}

impl Fixture {
    /// Makes a store with the image `base`: a few files and directories.
    pub(crate) fn new() -> Self {
        let temporary = Temporary::new();
        let store = Store::open(temporary.join("images")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/:/bin/sh\nbob:x:7:8::/:/bin/sh\n";
        let base = Archive::new()
            .directory("etc/")
            .file("etc/passwd", passwd)
            .file("etc/group", "root:x:0:\nalice:x:1001:\nstaff:x:50:\n")
            .entry("tmp/", tar::EntryType::Directory, |header| header.set_mode(0o1777), b"")
            .directory("usr/")
            .directory("usr/lib/")
            .file("usr/lib/old", "old")
            .symlink("lib", "usr/lib")
            .symlink("lnk", "/tmp")
            .symlink("escape", "../../../../../../etc");
        let options = ImportOptions {
            source: "-".to_owned(),
            reference: Some(ImageReference::parse("base").unwrap()),
            ..ImportOptions::default()
        };
        store.import(base.bytes().as_slice(), &options).unwrap();
        let runner = FakeRunner {
            directory: temporary.join("containers"),
            store: store.clone(),
            created: Mutex::default(),
            alive: Mutex::default(),
            runs: AtomicUsize::default(),
            meeting: AtomicUsize::default(),
        };
        fs::create_dir(&runner.directory).unwrap();
        Self {
            builder: Builder::new(store.clone(), temporary.join("builds"), temporary.join("secrets"), "1.0")
                .unwrap(),
            store,
            runner,
            puller: FakePuller::default(),
            cancellation: Cancellation::new(),
            temporary,
        }
    }

    pub(crate) fn build(&self, archive: Archive) -> Built {
        self.build_with(archive, |_| {})
    }

    pub(crate) fn build_with(&self, archive: Archive, change: impl FnOnce(&mut BuildRequest)) -> Built {
        self.build_bytes(archive.bytes(), change)
    }

    pub(crate) fn build_bytes(&self, body: Vec<u8>, change: impl FnOnce(&mut BuildRequest)) -> Built {
        let mut request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(body))));
        change(&mut request);
        self.build_request(request)
    }

    pub(crate) fn build_request(&self, request: BuildRequest) -> Built {
        let events = Mutex::new(Vec::new());
        let sink = |event| events.lock().unwrap().push(event);
        let session = Session {
            runner: &self.runner,
            puller: &self.puller,
            events: &sink,
            cancellation: &self.cancellation,
        };
        let result = self.builder.build(request, &session);
        let events = events.into_inner().unwrap();
        Built { text: shorten(&events), events, result }
    }

    /// Builds what must succeed and returns the image.
    pub(crate) fn image(&self, archive: Archive) -> images::Image {
        let built = self.build(archive);
        self.store.image(&built.result.unwrap_or_else(|error| panic!("{error}; {}", built.text))).unwrap()
    }

    /// The stream after the FROM step of a file that begins with `FROM base`, and the error.
    pub(crate) fn stream(&self, rest: &str) -> String {
        self.stream_of(context(&format!("FROM base\n{rest}")))
    }

    pub(crate) fn stream_of(&self, archive: Archive) -> String {
        let built = self.build(archive);
        let from = "Step 0 : FROM base\n-> ";
        let text = built.text.strip_prefix(from).unwrap_or(&built.text).to_owned();
        match built.result {
            Ok(_) => text,
            Err(error) => format!("{text}ERROR {error}"),
        }
    }

    /// Every path of an image with mode, owner, size and time, as a container would see it.
    pub(crate) fn files(&self, image: &images::Image) -> Vec<String> {
        let view = crate::tree::View::new(self.store.lower_directories(image));
        let mut lines = Vec::new();
        list_tree(&view.root(), Path::new(""), &mut lines);
        lines
    }

    /// The content of an image's topmost layer, whiteouts and all.
    pub(crate) fn top_layer(&self, image: &images::Image) -> Vec<String> {
        let view = crate::tree::View::new(self.store.lower_directories(image)[..1].to_vec());
        let mut lines = Vec::new();
        list_tree(&view.root(), Path::new(""), &mut lines);
        lines
    }

    pub(crate) fn read(&self, image: &images::Image, path: &str) -> String {
        let layers = self.store.lower_directories(image);
        let found = layers.iter().map(|layer| layer.join(path)).find(|file| file.symlink_metadata().is_ok());
        fs::read_to_string(found.unwrap()).unwrap()
    }
}

/// Writes a stream in a short form: `~` for "Running in", `->` for an image, `RM` for a removed
/// container, `OK` for the end.
pub(crate) fn shorten(events: &[BuildEvent]) -> String {
    let hexadecimal = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = |text: &str, before: &str| {
        text.strip_prefix(before).and_then(|rest| rest.strip_suffix('\n')).is_some_and(hexadecimal)
    };
    events
        .iter()
        .map(|event| match event {
            BuildEvent::Stream(text) if short(text, " ---> Running in ") => "~ ".to_owned(),
            BuildEvent::Stream(text) if short(text, " ---> ") => "-> ".to_owned(),
            BuildEvent::Stream(text) if short(text, "Removing intermediate container ") => "RM ".to_owned(),
            BuildEvent::Stream(text) if short(text, "Successfully built ") => "OK".to_owned(),
            BuildEvent::Stream(text) => text.clone(),
            BuildEvent::Stage(_) => "STAGE ".to_owned(),
            BuildEvent::Progress(message) => format!("STATUS {} ", message.status),
            BuildEvent::Plan(_)
            | BuildEvent::Vertex { .. }
            | BuildEvent::Warning(_)
            | BuildEvent::Material(_)
            | BuildEvent::Provision { .. } => String::new(),
        })
        .collect()
}
