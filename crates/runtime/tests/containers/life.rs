//! Runs, exit codes, start errors.

use berth_runtime::FailureKind;

use crate::Test;
use crate::scene::{Scene, assert_clean, create, run, run_with};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_runs_and_its_code_comes_back", a_program_runs_and_its_code_comes_back),
    ("input_goes_in_and_output_comes_out", input_goes_in_and_output_comes_out),
    ("start_errors_say_why", start_errors_say_why),
    ("a_created_container_that_is_dropped_is_undone", a_created_container_that_is_dropped_is_undone),
];

fn a_program_runs_and_its_code_comes_back() {
    for (arguments, code) in
        [(&["true"][..], 0), (&["sh", "-c", "exit 7"], 7), (&["sh", "-c", "kill -9 $$"], 0)]
    {
        let scene = Scene::new();
        let outcome = run(&scene.spec(arguments)).unwrap();
        assert_eq!(outcome.exit.code, code, "{arguments:?} {outcome:?}");
    }
}

fn input_goes_in_and_output_comes_out() {
    let scene = Scene::new();
    let outcome = run_with(&scene.spec(&["sh", "-c", "cat; echo done >&2"]), b"hello").unwrap();
    assert_eq!((outcome.output.as_str(), outcome.errors.as_str()), ("hello", "done\n"));
}

fn start_errors_say_why() {
    use FailureKind::{ProgramNotExecutable, ProgramNotFound, UserNotFound};
    for (program, user, failure, code, words) in [
        ("nope", "", ProgramNotFound, 127, "exec: \"nope\": executable file not found in $PATH"),
        ("", "", ProgramNotFound, 127, "exec: \"\": executable file not found in $PATH"),
        ("/nope", "", ProgramNotFound, 127, "exec: \"/nope\": stat /nope: no such file or directory"),
        ("/etc", "", ProgramNotExecutable, 126, "exec: \"/etc\": permission denied"),
        ("/etc/passwd", "", ProgramNotExecutable, 126, "exec: \"/etc/passwd\": permission denied"),
        ("true", "nosuch", UserNotFound, 128, "Unable to find user nosuch"),
    ] {
        let scene = Scene::new();
        let mut spec = scene.spec(&[program]);
        spec.process.user = user.into();
        let (created, _ends) = create(&spec).unwrap();
        let directories = created.cgroup().directories().to_vec();
        let error = created.start(None).unwrap_err();
        assert_eq!(error.to_string(), words);
        assert_eq!((error.failure(), error.exit_code()), (failure, code), "{words}");
        assert_clean(&directories);
    }
}

fn a_created_container_that_is_dropped_is_undone() {
    let scene = Scene::new();
    let (created, _ends) = create(&scene.spec(&["true"])).unwrap();
    let init = created.init();
    let directories = created.cgroup().directories().to_vec();
    assert!(directories.iter().all(|directory| directory.exists()));
    drop(created);
    assert_clean(&directories);
    assert!(!std::path::Path::new(&format!("/proc/{}", init.pid)).exists());
}
