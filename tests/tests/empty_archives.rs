//! Archives without anything, in every compression: nothing to do, for whatever takes an archive.

use std::io::Write;
use std::process::{Command, Stdio};

use berth_tests::{Context, Engine, sh};
use serde_json::json;

/// The programs that compress, by the compression's name.
const COMPRESSIONS: [(&str, &[&str]); 5] =
    [("cat", &[]), ("gzip", &["-c"]), ("bzip2", &["-c"]), ("xz", &["-c"]), ("zstd", &["-c", "--quiet"])];

/// No byte, half of a tar's end, the whole end, and the end as GNU tar fills it up.
const SIZES: [usize; 4] = [0, 512, 1024, 10240];

fn compressed(program: &str, arguments: &[&str], content: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    child.stdin.take().expect("its input").write_all(content).expect("what it compresses");
    child.wait_with_output().expect(program).stdout
}

#[test]
fn nothing_is_taken_out_of_nothing() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let tar = [("Content-Type", "application/x-tar")];
    for (program, arguments) in COMPRESSIONS {
        for size in SIZES {
            let bytes = compressed(program, arguments, &vec![0; size]);
            let what = format!("{size} zeros by {program}");
            let import = engine.call("POST", "/images/create?fromSrc=-&repo=nothing", &tar, &bytes);
            assert_eq!(import.status(), 200, "{what}: {}", import.text());
            let layers = engine.get("/images/nothing/json").expect(200).json();
            assert_eq!(layers["VirtualSize"], 0, "{what}");
            let load = engine.call("POST", "/images/load", &tar, &bytes);
            assert_eq!((load.status(), load.text()), (200, String::new()), "{what}");
            let put = engine.call("PUT", &format!("/containers/{id}/archive?path=/tmp"), &tar, &bytes);
            assert_eq!((put.status(), put.text()), (200, String::new()), "{what}");
            let _ = engine.delete("/images/nothing").expect(200);
        }
    }
    assert_eq!(engine.get(&format!("/containers/{id}/changes")).expect(200).json(), json!(null));
}

/// Without a compression a file of zeros is a file.
#[test]
fn add_unpacks_nothing_out_of_what_is_compressed() {
    let engine = Engine::start();
    for (program, arguments) in COMPRESSIONS {
        let mut context = Context::of("FROM busybox\nADD f* /d/\nCMD ls /d\n");
        for size in SIZES {
            context = context.file(&format!("f{size}"), compressed(program, arguments, &vec![0; size]));
        }
        let image = engine.build(&[], context).image();
        let wanted = if program == "cat" { "f0\nf1024\nf10240\nf512\n" } else { "" };
        assert_eq!(engine.output_of(&image, "ls /d"), wanted, "{program}");
    }
    engine.forget_builds();
}
