//! What the steps of a container's life cost: `cargo test --release … -- bench`.

use std::time::{Duration, Instant};

use model::Namespace;

use crate::scene::{Scene, create};

/// Prints medians in microseconds.
pub(crate) fn run() {
    for (name, network) in [("own network", Namespace::Own), ("host network", Namespace::Host)] {
        let scene = Scene::new();
        let mut spec = scene.spec(&["true"]);
        spec.namespaces.network = network;
        let mut steps: [Vec<Duration>; 5] = Default::default();
        for _ in 0..200 {
            let begin = Instant::now();
            let (mut created, ends) = create(&spec).unwrap();
            steps[0].push(begin.elapsed());
            let at = Instant::now();
            created.enter_cgroup().unwrap();
            steps[1].push(at.elapsed());
            let at = Instant::now();
            let running = created.start(None).unwrap();
            steps[2].push(at.elapsed());
            let at = Instant::now();
            running.init().wait().unwrap();
            running.destroy().unwrap();
            steps[3].push(at.elapsed());
            steps[4].push(begin.elapsed());
            drop(ends);
        }
        println!("{name}:");
        for (label, times) in
            ["create", "enter cgroup", "start", "exit and destroy", "all"].iter().zip(&mut steps)
        {
            times.sort();
            println!("  {label:20} {:6} µs", times[times.len() / 2].as_micros());
        }
    }
}
