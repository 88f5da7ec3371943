//! Dockerfiles and images that mean harm: refused in words, in little memory and time.

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::fixture::{Archive, Fixture, context};
use crate::{Order, Wording};

fn refusal(fixture: &Fixture, archive: Archive) -> String {
    fixture.build(archive).result.unwrap_err().to_string()
}

#[test]
fn account_files_of_an_image_are_regular_files_of_a_length() {
    let fixture = Fixture::new();
    // The image's layer is changed below the store: an image may hold any of these.
    let image = fixture.store.resolve("base").unwrap();
    let passwd = fixture.store.lower_directories(&image)[0].join("etc/passwd");
    let copy = || refusal(&fixture, context("FROM base\nCOPY --chown=zz f /x").file("f", "x"));
    std::fs::remove_file(&passwd).unwrap();
    mknodat(CWD, &passwd, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(copy(), "cannot read etc/passwd: not a regular file");
    std::fs::remove_file(&passwd).unwrap();
    mknodat(CWD, &passwd, FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 5)).unwrap();
    assert_eq!(copy(), "cannot read etc/passwd: not a regular file");
    std::fs::remove_file(&passwd).unwrap();
    std::fs::File::create(&passwd).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(copy(), "cannot read etc/passwd: longer than 16777216 bytes");
    std::fs::remove_file(&passwd).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &passwd).unwrap();
    assert_eq!(copy(), "/etc/passwd: too many levels of symbolic links".trim_start_matches('/'));
}

#[test]
fn dockerfiles_and_ignore_files_have_a_length() {
    let fixture = Fixture::new();
    let long = "# \n".repeat(1 << 20);
    assert_eq!(
        refusal(&fixture, context(&long)),
        "cannot read Dockerfile of the build context: longer than 2097152 bytes"
    );
    let archive = context("FROM base").file(".dockerignore", "a\n".repeat(1 << 20));
    assert_eq!(
        refusal(&fixture, archive),
        "cannot read .dockerignore of the build context: longer than 1048576 bytes"
    );
}

#[test]
fn dockerfiles_do_not_grow_beyond_what_they_say() {
    let fixture = Fixture::new();
    let doubling = (0..40).fold("FROM base\nENV a=0123456789\n".to_owned(), |text, _| text + "ENV a=$a$a\n");
    let deep = format!("FROM base\nENV a={}\n", "${x:-".repeat(100_000));
    let many = format!("FROM base\n{}", "USER x\n".repeat(2_000));
    let ports = format!("FROM base\nEXPOSE {}\n", "0-65535 ".repeat(4));
    let variables: String = (0..5_000).map(|number| format!(" v{number}=x")).collect();
    for (what, text, want) in [
        ("doubling", doubling, "variables put more than 1048576 bytes into the words of a build stage"),
        ("deep", deep, "substitutions are nested more than 64 deep"),
        ("instructions", many, "the Dockerfile has more than 2000 instructions"),
        ("ports", ports, "EXPOSE names more than 196608 ports"),
        (
            "variables",
            format!("FROM base\nENV{variables}\n"),
            "an image has no more than 4096 environment variables",
        ),
    ] {
        assert_eq!(refusal(&fixture, context(&text)), want, "{what}");
    }
    // A hundred thousand lines that look like the beginning of a here-document.
    let text = format!("FROM base\n{}", "RUN a <<b\n".repeat(1_500)) + &"# c\n".repeat(100_000);
    let built = crate::Dockerfile::parse(text.as_bytes(), Wording::Reference, Order::Written);
    assert!(built.is_ok());
}

#[test]
fn deep_directories_are_copied_without_a_deep_stack() {
    let fixture = Fixture::new();
    let path = format!("{}f", "d/".repeat(1_500));
    // As much as the thread of a build has.
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let result = std::thread::scope(|scope| {
        let build = || fixture.build(context("FROM base\nCOPY . /x").file(&path, "deep")).result;
        thread.spawn_scoped(scope, build).unwrap().join().unwrap()
    });
    let image = fixture.store.image(&result.unwrap()).unwrap();
    assert_eq!(fixture.read(&image, &format!("x/{path}")), "deep");
}
