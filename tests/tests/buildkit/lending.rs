//! A second build of many files: its layer has only what has changed, and neither containers nor clients see that.

use std::fs;
use std::path::Path;

use berth_tests::Engine;

use crate::client::{Order, run};
use crate::offers::Offers;

const DOCKERFILE: &str = "FROM busybox\nCOPY . /x\n";
const FILES: usize = 300;

/// Builds an image of many files, the first of which has a content of its own.
fn build(engine: &Engine, first: &str, name: &str) {
    let content = |number| if number == 0 { first.to_owned() } else { format!("content {number}\n") };
    let files: Vec<(String, String)> =
        (0..FILES).map(|number| (format!("d{}/f{number:03}", number % 7), content(number))).collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_bytes())).collect();
    let built = run(Order::of(Offers::of(DOCKERFILE, &files), name).run(engine.socket()));
    assert_eq!(built.step("[2/2] COPY . /x"), "done", "{:?}", built.result);
}

/// How many files of the context are below a directory of the host.
fn count(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let count = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix('f')).unwrap_or_default();
        let is_copied = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => count(&entry.path()),
            kind => usize::from(kind.is_file() && is_copied),
        }
    };
    entries.map(|entry| count(entry.expect("an entry"))).sum()
}

#[test]
fn a_second_build_of_many_files_makes_only_those_that_have_changed() {
    let mut engine = Engine::start();
    build(&engine, "one\n", "first");
    let layers = engine.data_root().join("images/layers");
    assert_eq!(count(&layers), FILES);
    build(&engine, "another\n", "second");
    assert_eq!(count(&layers), FILES + 1);
    let script = "cd /x && cat d0/f000 d1/f001 && find . -type f | wc -l && stat -c %h d1/f001 && \
        echo written > d2/f002 && cat d2/f002 && rm d3/f003 && ls d3 | head -n 1";
    let shown = |first: &str| format!("{first}\ncontent 1\n{FILES}\n1\nwritten\nf010\n");
    assert_eq!(engine.output_of("first", script), shown("one"));
    assert_eq!(engine.output_of("second", script), shown("another"));
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(engine.output_of("second", script), shown("another"), "after kill -9");
    let _ = engine.at("1.55").delete("/images/first").expect(200);
    let _ = engine.at("1.55").post("/build/prune?all=1").expect(200);
    assert_eq!(count(&layers), FILES + 1, "the second image needs those of the first one");
    assert_eq!(engine.output_of("second", script), shown("another"), "without the first image");
    let _ = engine.at("1.55").delete("/images/second").expect(200);
    let _ = engine.at("1.55").post("/build/prune?all=1").expect(200);
    assert_eq!(count(&layers), 0);
    engine.forget_builds();
}
