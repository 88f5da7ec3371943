//! Whatever writes the archive of a tree, the layer is that tree: GNU tar, bsdtar, Python and busybox in their
//! formats, of trees made at random. Needs root and these programs.

mod support;

use std::collections::HashMap;
use std::fmt::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use berth_images::Store;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};
use support::Scratch;

/// Random numbers that are the same at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Which names and targets a tree has: ustar takes short ones alone.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Short,
    Any,
}

fn name(random: &mut Random, names: Names, number: u64) -> String {
    match random.below(if names == Names::Any { 6 } else { 4 }) {
        0 => format!("a b {number}"),
        1 => format!("ü{number}"),
        2 => format!(".hidden{number}"),
        3 => format!("f{number}"),
        4 => format!("{}{number}", "long-".repeat(24)),
        _ => format!("new\nline{number}"),
    }
}

/// Fills a directory, and sets every time, the deepest first.
fn fill(directory: &Path, random: &mut Random, names: Names, depth: u32) {
    let mut files = Vec::new();
    for number in 0..4 + random.below(4) {
        let path = directory.join(name(random, names, number));
        match random.below(8) {
            0 | 1 if depth < 3 => {
                std::fs::create_dir(&path).expect("a directory");
                fill(&path, random, names, depth + 1);
            }
            2 => {
                let repeated = if names == Names::Any { 1 + random.below(40) } else { 1 };
                let target = "../up/".repeat(usize::try_from(repeated).expect("small"));
                symlink(target, &path).expect("a link");
            }
            3 if !files.is_empty() => {
                let first: &std::path::PathBuf = &files[0];
                std::fs::hard_link(first, &path).expect("a hard link");
                continue;
            }
            4 => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO"),
            5 => mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o640), makedev(1, 3))
                .expect("a device"),
            _ => {
                let length = usize::try_from(random.below(3_000)).expect("small");
                std::fs::write(&path, support::noise(length)).expect("a file");
                files.push(path.clone());
            }
        }
        dress(&path, random);
    }
}

fn dress(path: &Path, random: &mut Random) {
    let owner = u32::try_from(random.below(70_000)).expect("small");
    lchown(path, Some(owner), Some(owner + 1)).expect("an owner");
    if !path.is_symlink() {
        let mode =
            [0o644, 0o755, 0o4755, 0o2750, 0o1777, 0o600][usize::try_from(random.below(6)).expect("small")];
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let seconds = i64::try_from(random.below(1 << 30)).expect("small");
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

/// Everything that a layer keeps, a line a name.
fn listing(root: &Path) -> String {
    let mut lines = String::new();
    let mut firsts: HashMap<u64, String> = HashMap::new();
    let mut waiting = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let found = path.symlink_metadata().expect("it");
        let kind = found.file_type();
        let shown = format!("{:?}", path.strip_prefix(root).expect("below"));
        let first = firsts.entry(found.ino()).or_insert_with(|| shown.clone()).clone();
        let content = match () {
            () if kind.is_file() => {
                format!("{:?}", berth_images::digest_of(&std::fs::read(&path).expect("it")))
            }
            () if kind.is_symlink() => format!("{:?}", std::fs::read_link(&path).expect("its target")),
            () if kind.is_char_device() => found.rdev().to_string(),
            () => String::new(),
        };
        let mode = if kind.is_symlink() { 0 } else { found.mode() };
        let (user, group, time) = (found.uid(), found.gid(), found.mtime());
        writeln!(lines, "{shown} {kind:?} {mode:o} {user}:{group} {time} {first} {content}").expect("text");
    }
    lines
}

fn archive(tree: &Path, words: &[&str]) -> Vec<u8> {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(tree).output().expect(words[0]);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const PYTHON: &str = "import sys, tarfile\n\
    with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=int(sys.argv[1])) as archive: archive.add('.')";

#[test]
fn whatever_writes_the_archive_of_a_tree_the_layer_is_that_tree() {
    let ustar: [&[&str]; 3] = [
        &["tar", "--format=ustar", "-c", "."],
        &["bsdtar", "--format=ustar", "-cf", "-", "."],
        &["python3", "-c", PYTHON, "0"],
    ];
    let others: [&[&str]; 7] = [
        &["tar", "--format=gnu", "-c", "."],
        &["tar", "--format=posix", "-c", "."],
        &["bsdtar", "--format=pax", "-cf", "-", "."],
        &["bsdtar", "--format=gnutar", "-cf", "-", "."],
        &["busybox", "tar", "-cf", "-", "."],
        &["python3", "-c", PYTHON, "1"],
        &["python3", "-c", PYTHON, "2"],
    ];
    for seed in 0..6 {
        let names = if seed % 2 == 0 { Names::Short } else { Names::Any };
        let scratch = Scratch::new();
        let tree = scratch.path().join("tree");
        std::fs::create_dir(&tree).expect("a directory");
        fill(&tree, &mut Random(seed), names, 0);
        let want = listing(&tree);
        let short: &[&[&str]] = if names == Names::Short { &ustar } else { &[] };
        for (number, words) in short.iter().chain(&others).enumerate() {
            let store = Store::open(scratch.path().join(format!("images{number}"))).expect("a store");
            let layer = store.unpack_layer(&archive(&tree, words)[..]).expect(words[0]);
            assert_eq!(listing(&layer.directory()), want, "seed {seed}: {words:?}");
        }
    }
}
