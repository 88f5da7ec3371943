//! A sound index of images for several platforms, and a sequence of acts on what it brought: nothing panics, a name leads to
//! an image that is there, and what is saved is the index as it came.
#![no_main]

use std::sync::LazyLock;

use berth_fuzz::{Layout, all, clear, store};
use images::registry::Platform;
use images::{RemoveOptions, Store};
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use serde_json::json;

static STORE: LazyLock<Store> = LazyLock::new(|| store("index"));

#[derive(Arbitrary, Debug)]
struct Input {
    architectures: Vec<u8>,
    nesting: u8,
    acts: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
enum Act {
    Load(Vec<u8>),
    Remove(u8),
    RemoveName,
    Save(Vec<u8>),
}

const ARCHITECTURES: [&str; 4] = ["amd64", "arm64", "s390x", "riscv64"];
const NAME: &str = "docker.io/library/fuzzed:1";

fn platforms(numbers: &[u8]) -> Vec<Platform> {
    let names =
        numbers.iter().take(4).map(|number| ARCHITECTURES[usize::from(*number) % ARCHITECTURES.len()]);
    names
        .map(|name| Platform { architecture: name.into(), os: "linux".into(), variant: String::new() })
        .collect()
}

fuzz_target!(|input: Input| {
    let mut layout = Layout::default();
    let mut entries = Vec::new();
    for wanted in platforms(&input.architectures) {
        let marker = berth_fuzz::tarball([("marker", wanted.architecture.as_bytes())]);
        entries.push(layout.image(&wanted.architecture, &[marker]));
    }
    let mut index = layout.index(&entries);
    for _ in 0..input.nesting % 3 {
        index = layout.index(&[index]);
    }
    let digest = index["digest"].clone();
    index["annotations"] = json!({ "io.containerd.image.name": NAME });
    let tarball = layout.tarball(&[index]);
    for act in input.acts.iter().take(20) {
        // What is not there is refused; that is fine.
        let _ = match act {
            Act::Load(wanted) => STORE.load_for(&tarball[..], &platforms(wanted)).map(drop),
            Act::Remove(which) => {
                STORE.remove_platforms(NAME, &platforms(&[*which]), RemoveOptions::default()).map(drop)
            }
            Act::RemoveName => STORE.remove(NAME, RemoveOptions::default()).map(drop),
            Act::Save(wanted) => STORE
                .save_layout(&[NAME], &platforms(wanted))
                .and_then(|saved| saved.write(&mut std::io::sink())),
        };
        let images = STORE.list(&all()).expect("a list");
        for image in &images {
            let details = STORE.inspect(&image.id.hexadecimal(), None).expect("inspected");
            let target = details.target.expect("what it came under");
            assert_eq!(json!(target.digest.to_string()), digest, "it came under another index");
            STORE.manifests_of(&target).expect("manifests");
        }
        let named = STORE.resolve(NAME).is_ok();
        assert_eq!(named, !images.is_empty(), "there are images without the name, or the other way round");
    }
    clear(&STORE);
});
