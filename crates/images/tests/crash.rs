//! A process that is killed while it imports, loads, commits and removes images leaves a store
//! that is whole: every image complete, no layer, file or record beside them. Needs root.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use berth_images::{ImportOptions, ListFilter, RemoveOptions, Store};
use model::ImageReference;
use support::{Archive, Scratch};

/// Where the re-executed test program works.
const WORK: &str = "BERTH_IMAGES_WORK_UNTIL_KILLED";

/// So many kills in any case, more until one met an image, and then it is a failure.
const KILLS: std::ops::Range<u64> = 25..100;

fn work_until_killed(root: &Path) {
    let store = Store::open(root).expect("a store");
    for round in 0.. {
        let name = format!("r{}", round % 3);
        let content = support::noise(1 << (10 + round % 11));
        let archive = (0..20)
            .fold(Archive::new(), |archive, file| archive.file(&format!("d/{round}-{file}"), &content));
        let options =
            ImportOptions { reference: ImageReference::parse(&name).ok(), ..ImportOptions::default() };
        store.import(&archive.finish()[..], &options).expect("imported");
        let mut saved = Vec::new();
        store.save(&[&name]).expect("saved").write(&mut saved).expect("written");
        store.remove(&name, RemoveOptions::default()).expect("removed");
        store.load(&saved[..]).expect("loaded");
    }
}

#[test]
fn a_killed_process_leaves_a_whole_store() {
    if let Some(root) = std::env::var_os(WORK) {
        return work_until_killed(Path::new(&root));
    }
    let scratch = Scratch::new();
    let program = std::env::current_exe().expect("this program");
    let mut images = 0;
    for round in 0..KILLS.end {
        if round >= KILLS.start && images > 0 {
            break;
        }
        let mut child = Command::new(&program)
            .args(["--exact", "a_killed_process_leaves_a_whole_store"])
            .env(WORK, scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        // On a slow machine the work begins late: later rounds last longer.
        std::thread::sleep(Duration::from_millis(
            40 + round * 37 % 400 + round.saturating_sub(KILLS.start) * 50,
        ));
        child.kill().expect("killed");
        child.wait().expect("gone");
        images += check(scratch.path());
    }
    assert!(images > 0, "the process was never given time to make an image");
}

/// Checks the store; returns the number of its images.
fn check(root: &Path) -> usize {
    let store = Store::open(root).expect("the store opens");
    let all = ListFilter { all: true, ..ListFilter::default() };
    let mut layers = std::collections::BTreeSet::new();
    for listed in store.list(&all).expect("the list") {
        let image = store.image(&listed.id).expect("its config is there");
        for layer in store.layers(&image).expect("its layers are there") {
            let mut tar = Vec::new();
            layer.write_tar(&mut tar).expect("its tar is there");
            assert_eq!(berth_images::digest_of(&tar), layer.diff_id());
            layers.insert(layer.directory());
        }
    }
    let on_disk = std::fs::read_dir(root.join("layers")).expect("layers").count();
    assert_eq!(on_disk, layers.len(), "layers without an image");
    assert_eq!(std::fs::read_dir(root.join("temporary")).expect("it").count(), 0);
    store.count()
}
