//! What the steps of a container's life cost: `cargo test --release … -- bench`.

use std::time::{Duration, Instant};

use berth_runtime::{ExecRequest, Stdio};
use model::{Namespace, SeccompPolicy};

use crate::further::end;
use crate::scene::{Scene, create, process, start};

/// Prints times in microseconds.
pub(crate) fn run() {
    measure_lives();
    measure_execs();
}

fn null_streams() -> Stdio {
    let open = || std::fs::File::options().read(true).write(true).open("/dev/null").unwrap().into();
    Stdio::Streams { stdin: open(), stdout: open(), stderr: open() }
}

fn measure_execs() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "1000"])).unwrap();
    let process = process(&["true"]);
    let (mut starts, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let begin = Instant::now();
        let exec =
            running.exec(&ExecRequest { process: &process, privileged: false }, null_streams()).unwrap();
        starts.push(begin.elapsed());
        exec.process.wait().unwrap();
        whole.push(begin.elapsed());
    }
    end(&running);
    for (label, times) in [("exec until it runs", &mut starts), ("exec until it ended", &mut whole)] {
        print_median(label, times);
    }
}

fn print_median(label: &str, times: &mut [Duration]) {
    times.sort();
    let (least, median) = (times[0].as_micros(), times[times.len() / 2].as_micros());
    println!("  {label:20} median {median:6} µs, least {least:6} µs");
}

fn measure_lives() {
    for (name, network, seccomp) in [
        ("own network", Namespace::Own, SeccompPolicy::Default),
        ("own network, no filter", Namespace::Own, SeccompPolicy::Unconfined),
        ("host network", Namespace::Host, SeccompPolicy::Default),
    ] {
        let scene = Scene::new();
        let mut spec = scene.spec(&["true"]);
        spec.namespaces.network = network;
        spec.seccomp = seccomp;
        // The group above containers that name none stays.
        spec.cgroup_parent = None;
        let mut steps: [Vec<Duration>; 4] = Default::default();
        for _ in 0..200 {
            let begin = Instant::now();
            let (created, ends) = create(&spec).unwrap();
            steps[0].push(begin.elapsed());
            let at = Instant::now();
            let running = created.start(None).unwrap();
            steps[1].push(at.elapsed());
            let at = Instant::now();
            running.init().wait().unwrap();
            running.destroy().unwrap();
            steps[2].push(at.elapsed());
            steps[3].push(begin.elapsed());
            drop(ends);
        }
        println!("{name}:");
        for (label, times) in ["create", "start", "exit and destroy", "all"].iter().zip(&mut steps) {
            print_median(label, times);
        }
    }
}
