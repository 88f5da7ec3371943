//! Archives without anything, in every compression: nothing to do, for whatever takes an archive.

use berth_tests::tarball::{COMPRESSIONS, TAR};
use berth_tests::{Context, Engine, piped, sh};
use serde_json::json;

/// No byte, half of a tar's end, the whole end, and the end as GNU tar fills it up.
const SIZES: [usize; 4] = [0, 512, 1024, 10240];

#[test]
fn nothing_is_taken_out_of_nothing() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    for (program, arguments) in COMPRESSIONS {
        for size in SIZES {
            let bytes = piped(program, arguments, &vec![0; size]);
            let what = format!("{size} zeros by {program}");
            let import = engine.call("POST", "/images/create?fromSrc=-&repo=nothing", &TAR, &bytes);
            assert_eq!(import.status(), 200, "{what}: {}", import.text());
            let layers = engine.get("/images/nothing/json").expect(200).json();
            assert_eq!(layers["VirtualSize"], 0, "{what}");
            let load = engine.call("POST", "/images/load", &TAR, &bytes);
            assert_eq!((load.status(), load.text()), (200, String::new()), "{what}");
            let put = engine.call("PUT", &format!("/containers/{id}/archive?path=/tmp"), &TAR, &bytes);
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
            context = context.file(&format!("f{size}"), piped(program, arguments, &vec![0; size]));
        }
        let image = engine.build(&[], context).image();
        let wanted = if program == "cat" { "f0\nf1024\nf10240\nf512\n" } else { "" };
        assert_eq!(engine.output_of(&image, "ls /d"), wanted, "{program}");
    }
    engine.forget_builds();
}
