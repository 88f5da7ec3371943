//! A process that swaps links while an archive is unpacked leads it nowhere.
//! Needs root.

mod support;

use std::os::fd::AsFd;
use std::path::Path;

use berth_images::{Overwrite, unpack};
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
