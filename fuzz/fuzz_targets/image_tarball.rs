//! A tarball of images made of documents of the fuzzer's choice: nothing panics, nothing stays
//! after an error, and what was loaded can be listed and saved.
#![no_main]

use std::sync::LazyLock;

use berth_images::{ListFilter, RemoveOptions, Store};
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("berth-fuzz-load-{}", std::process::id()));
    Store::open(path).expect("a store")
});

#[derive(Arbitrary, Debug)]
struct Member<'a> {
    place: u8,
    content: &'a [u8],
}

const ID: &str = "abababababababababababababababababababababababababababababababab";

fn header(name: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fuzz_target!(|members: Vec<Member<'_>>| {
    let names = [
        "manifest.json".to_owned(),
        "index.json".to_owned(),
        "repositories".to_owned(),
        format!("{ID}/json"),
        format!("{ID}/layer.tar"),
        "config.json".to_owned(),
        "layer.tar".to_owned(),
    ];
    let mut tarball = Vec::new();
    for member in &members {
        tarball.extend(header(&names[usize::from(member.place) % names.len()], member.content.len()));
        tarball.extend_from_slice(member.content);
        tarball.resize(tarball.len().next_multiple_of(512), 0);
    }
    tarball.resize(tarball.len() + 1024, 0);
    if STORE.load(&tarball[..]).is_ok() {
        for image in STORE.list(&ListFilter { all: true, ..ListFilter::default() }) {
            STORE.save(&[&image.id]).expect("saved").write(&mut std::io::sink()).expect("written");
        }
    }
    let all = ListFilter { all: true, ..ListFilter::default() };
    while let Some(image) = STORE.list(&all).first() {
        STORE.remove(&image.id, RemoveOptions { force: true, keep_parents: true, ..RemoveOptions::default() }, &[]).expect("removed");
    }
});
