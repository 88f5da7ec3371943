//! A layer's tar, in any compression: nothing panics, nothing is written outside, nothing stays
//! after an error, and what was taken in comes back byte for byte.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use images::Store;
use libfuzzer_sys::fuzz_target;

static STORE: LazyLock<(PathBuf, Store)> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("berth-fuzz-layer-{}", std::process::id()));
    std::fs::create_dir_all(path.join("canary")).expect("a directory");
    let store = Store::open(path.join("canary/images")).expect("a store");
    (path, store)
});

fuzz_target!(|data: &[u8]| {
    let (path, store) = &*STORE;
    if let Ok(layer) = store.unpack_layer(data) {
        let mut tar = Vec::new();
        layer.write_tar(&mut tar).expect("a layer gives its tar back");
        assert_eq!(images::digest_of(&tar), layer.diff_id());
    }
    let count = |place: &str| std::fs::read_dir(path.join(place)).expect("a directory").count();
    assert_eq!(count("."), 1, "written outside");
    assert_eq!(count("canary"), 1, "written outside");
    assert_eq!(count("canary/images/temporary"), 0, "left behind");
    assert_eq!(count("canary/images/layers"), 0, "left behind");
});
