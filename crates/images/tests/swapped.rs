//! Files that others change while they are packed or unpacked: links that are swapped lead nowhere, files that go take
//! no others along, and two may unpack the same.
//! Needs root.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_images::{Overwrite, export, unpack};
use support::{Archive, Scratch};

#[test]
fn a_link_that_is_swapped_meanwhile_leads_nowhere() {
    let scratch = Scratch::new();
    let (root, outside) = (scratch.path().join("root"), scratch.path().join("outside"));
    std::fs::create_dir_all(root.join("real")).expect("a directory");
    std::fs::create_dir(&outside).expect("a directory");
    let archive = (0..300).fold(Archive::new(), |archive, number| {
        archive.file(&format!("door/f{number}"), b"x").file(&format!("other{number}/f"), b"x")
    });
    let archive = archive.finish();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&root, &outside, &done));
        for _ in 0..10 {
            let directory = std::fs::File::open(&root).expect("it");
            // Fails or succeeds as the race goes; it must only never leave.
            let _ = unpack(directory.as_fd(), &archive[..], Overwrite::Anything);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(&outside).expect("it").count(), 0);
}

fn swap(root: &Path, outside: &Path, done: &std::sync::atomic::AtomicBool) {
    let door = root.join("door");
    while !done.load(std::sync::atomic::Ordering::Relaxed) {
        let _ = std::os::unix::fs::symlink(outside, &door);
        let _ = std::fs::remove_file(&door);
        let _ = std::fs::rename(root.join("real"), &door);
        let _ = std::fs::rename(&door, root.join("real"));
    }
}

/// Takes a tar, and removes a file when the first of it has come.
struct Remover {
    taken: Vec<u8>,
    removed: PathBuf,
}

impl Write for Remover {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.taken.is_empty() {
            std::fs::remove_file(&self.removed)?;
        }
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_name_that_goes_meanwhile_leaves_the_content_to_the_next() {
    let scratch = Scratch::new();
    let root = scratch.path();
    std::fs::write(root.join("a"), b"first").expect("a file");
    std::fs::write(root.join("b"), b"content").expect("a file");
    for name in ["c", "d"] {
        std::fs::hard_link(root.join("b"), root.join(name)).expect("a link");
    }
    let mut out = Remover { taken: Vec::new(), removed: root.join("b") };
    export(&[root], &mut out).expect("a tar");
    let mut packed = Vec::new();
    for entry in tar::Archive::new(&out.taken[..]).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("its content");
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        packed.push((String::from_utf8_lossy(&entry.path_bytes()).into_owned(), content, link));
    }
    let entry = |name: &str, content: &str, link: Option<&str>| {
        (name.to_owned(), content.to_owned(), link.map(str::to_owned))
    };
    assert_eq!(packed, [entry("a", "first", None), entry("c", "content", None), entry("d", "", Some("c"))]);
}

#[test]
fn two_put_the_same_at_the_same_time() {
    let scratch = Scratch::new();
    let archive = Archive::new().file("q", b"x").finish();
    let meeting = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        // Neither fails before the end: the other would wait for ever.
        let put = || -> Vec<String> {
            let failures = (0..500).filter_map(|_| {
                meeting.wait();
                let directory = std::fs::File::open(scratch.path()).expect("it");
                let put = unpack(directory.as_fd(), &archive[..], Overwrite::Anything);
                put.err().map(|error| error.to_string())
            });
            failures.collect()
        };
        for thread in [scope.spawn(put), scope.spawn(put)] {
            assert_eq!(thread.join().expect("the thread"), [""; 0]);
        }
    });
    assert_eq!(std::fs::read(scratch.path().join("q")).expect("the file"), b"x");
}
