//! Build contexts: hostile entries in any order, or any bytes. Every one ends in a result, nothing is
//! written outside, and nothing of a build stays.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use builder::{
    BuildEvent, BuildRequest, Builder, ContextSource, ImagePuller, MadeContainer, OutputStream, RunStep,
    Session, StepError, StepRunner,
};
use images::Store;
use images::registry::{Cancellation, Platform, Progress};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use model::{ContainerId, Digest, ErrorKind, ImageReference};

const DOCKERFILE: &str =
    "FROM scratch\nCOPY . /c/\nADD a /d/\nCOPY *b l?/.. /e/\nCOPY --chown=1:2 l /f\nADD b/a d/l /d/l/\n";

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Entries(Vec<Entry<'a>>),
    Nested(Vec<Entry<'a>>),
    Bytes(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Entry<'a> {
    name: Vec<Step>,
    target: Vec<Step>,
    kind: Kind,
    mode: u16,
    content: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Step {
    A,
    B,
    D,
    Link,
    Up,
    Here,
    Root,
    Canary,
    Ignore,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Device,
}

struct Place {
    root: PathBuf,
    store: Store,
    builder: Builder,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("berth-fuzz-context-{}", std::process::id()));
    std::fs::create_dir_all(root.join("data")).expect("a directory");
    std::fs::write(root.join("canary"), "canary").expect("a file outside");
    let store = Store::open(root.join("data/images")).expect("a store");
    let builder =
        Builder::new(store.clone(), root.join("data/builds"), root.join("secrets"), "0").expect("a builder");
    Place { root, store, builder }
});

fn name(steps: &[Step]) -> String {
    let words = steps.iter().take(12).map(|step| match step {
        Step::A => "a",
        Step::B => "b",
        Step::D => "d",
        Step::Link => "l",
        Step::Up => "..",
        Step::Here => ".",
        Step::Root => "",
        Step::Canary => "canary",
        Step::Ignore => ".dockerignore",
    });
    words.collect::<Vec<_>>().join("/")
}

fn archive(entries: &[Entry<'_>], dockerfile: bool) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |name: &str, target: &str, kind: tar::EntryType, mode: u16, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(u32::from(mode));
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content).expect("an entry");
    };
    if dockerfile {
        append("Dockerfile", "", tar::EntryType::Regular, 0o644, DOCKERFILE.as_bytes());
    }
    for entry in entries.iter().take(40) {
        let kind = match entry.kind {
            Kind::File => tar::EntryType::Regular,
            Kind::Directory => tar::EntryType::Directory,
            Kind::Symlink => tar::EntryType::Symlink,
            Kind::HardLink => tar::EntryType::Link,
            Kind::Fifo => tar::EntryType::Fifo,
            Kind::Device => tar::EntryType::Char,
        };
        let content = if matches!(entry.kind, Kind::File) { entry.content } else { b"" };
        append(&name(&entry.name), &name(&entry.target), kind, entry.mode, content);
    }
    archive.into_inner().expect("the archive")
}

/// No image is pulled and no command run.
struct Nobody;

fn refused() -> StepError {
    StepError::new(ErrorKind::Invalid, "not here")
}

impl StepRunner for Nobody {
    fn finish(&self) {}

    fn create(&self, _: &RunStep) -> Result<MadeContainer, StepError> {
        Err(refused())
    }

    fn run(
        &self,
        _: &ContainerId,
        _: &mut dyn FnMut(OutputStream, &[u8]),
        _: &Cancellation,
    ) -> Result<i64, StepError> {
        Err(refused())
    }

    fn changes(&self, _: &ContainerId) -> Result<PathBuf, StepError> {
        Err(refused())
    }

    fn remove(&self, _: &ContainerId) -> Result<(), StepError> {
        Err(refused())
    }
}

impl ImagePuller for Nobody {
    fn pull(
        &self,
        _: &ImageReference,
        _: Option<&Platform>,
        _: &dyn Progress,
        _: &Cancellation,
    ) -> Result<Digest, StepError> {
        Err(refused())
    }
}

fn count(path: &Path) -> usize {
    std::fs::read_dir(path).expect("a directory").count()
}

fuzz_target!(|input: Input<'_>| {
    let place = &*PLACE;
    let body = match &input {
        Input::Entries(entries) => archive(entries, true),
        Input::Nested(entries) => {
            let inner = archive(entries, false);
            let mut outer = tar::Builder::new(Vec::new());
            for (name, content) in [("Dockerfile", DOCKERFILE.as_bytes()), ("a", &inner), ("l", b"l")] {
                let mut header = tar::Header::new_ustar();
                header.set_size(content.len() as u64);
                header.set_mode(0o644);
                outer.append_data(&mut header, name, content).expect("an entry");
            }
            outer.into_inner().expect("the archive")
        }
        Input::Bytes(bytes) => bytes.to_vec(),
    };
    let events = |_: BuildEvent| {};
    let session =
        Session { runner: &Nobody, puller: &Nobody, events: &events, cancellation: &Cancellation::new() };
    let request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(body))));
    let _ = place.builder.build(request, &session);
    berth_fuzz::clear(&place.store);
    let canary = std::fs::read(place.root.join("canary")).expect("the file outside");
    assert_eq!((count(&place.root), canary.as_slice()), (3, &b"canary"[..]), "written outside");
    assert_eq!(count(&place.root.join("data")), 2, "written outside");
    let begin = Instant::now();
    while count(&place.root.join("data/builds")) > 0 {
        // It is removed on a thread of its own.
        assert!(begin.elapsed() < Duration::from_secs(20), "a build's directory stays");
        std::thread::yield_now();
    }
    for left in ["temporary", "layers"] {
        assert_eq!(count(&place.root.join("data/images").join(left)), 0, "left behind in {left}");
    }
});
