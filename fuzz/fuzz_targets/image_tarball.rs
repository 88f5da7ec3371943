//! A tarball of images made of documents of the fuzzer's choice: nothing panics, nothing stays
//! after an error, and what was loaded can be listed and saved.
#![no_main]

use std::sync::LazyLock;

use berth_fuzz::{all, clear, store, tarball};
use images::Store;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};

static STORE: LazyLock<Store> = LazyLock::new(|| store("load"));

#[derive(Arbitrary, Debug)]
struct Member<'a> {
    place: u8,
    content: &'a [u8],
}

const ID: &str = "abababababababababababababababababababababababababababababababab";

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
    let members = members.iter();
    let tarball = tarball(
        members.map(|member| (names[usize::from(member.place) % names.len()].as_str(), member.content)),
    );
    if STORE.load(&tarball[..]).is_ok() {
        for image in STORE.list(&all()).expect("a list") {
            let id = image.id.hexadecimal();
            STORE.save(&[id]).expect("saved").write(&mut std::io::sink()).expect("written");
        }
    } else {
        assert!(STORE.list(&all()).expect("a list").is_empty(), "a failed load left an image");
    }
    clear(&STORE);
});
