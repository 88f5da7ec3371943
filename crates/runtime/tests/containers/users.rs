//! Containers with a user namespace of their own.

use std::io::Read;
use std::os::unix::fs::MetadataExt;

use berth_runtime::Stdio;
use model::{
    ContainerSpec, Device, IdMapping, IdRange, Mount, MountSource, Namespace, Owners, ResourceLimit,
};

use crate::Test;
use crate::further::{end, exec};
use crate::scene::{Scene, create, create_with, eventually, process, run, start};
use crate::view::bind;

pub(crate) const TESTS: &[Test] = &[
    ("users_root_is_nobody_of_the_host", users_root_is_nobody_of_the_host),
    ("users_see_files_as_their_own", users_see_files_as_their_own),
    ("users_have_devices_and_terminals", users_have_devices_and_terminals),
    ("users_of_an_exec", users_of_an_exec),
    ("users_are_shared_with_who_joins", users_are_shared_with_who_joins),
];

fn mapped(scene: &Scene, script: &str) -> ContainerSpec {
    let range = |outside| vec![IdRange { inside: 0, outside, count: 65536 }];
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.user_namespace = Some(IdMapping { users: range(100_000), groups: range(200_000) });
    spec
}

fn users_root_is_nobody_of_the_host() {
    let scene = Scene::new();
    let script = "id -u; awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; hostname; \
        (echo 1 > /proc/sys/vm/drop_caches) 2>/dev/null || echo walled; ls -A /sys/class/net; \
        mount -t tmpfs x /tmp 2>/dev/null || echo unmountable; ulimit -Hn; cat /proc/self/oom_score_adj";
    let mut spec = mapped(&scene, script);
    spec.process.resource_limits = vec![ResourceLimit { name: "nofile".into(), soft: 500, hard: 1_000 }];
    spec.process.oom_score_adjustment = Some(300);
    let outcome = run(&spec).unwrap();
    let expected = "0\n0 100000 65536\n0 200000 65536\ninside\nwalled\nlo\nunmountable\n1000\n300\n";
    assert_eq!(outcome.output, expected, "{outcome:?}");
    let (running, ends) = start(&mapped(&scene, "cat")).unwrap();
    let pid = running.init().reference().pid;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t100000\t100000\t100000\t100000"), "{status}");
    assert!(status.contains("Gid:\t200000\t200000\t200000\t200000"), "{status}");
    drop(ends);
    end(&running);
}

fn users_see_files_as_their_own() {
    let scene = Scene::new();
    for name in ["volume", "host"] {
        std::fs::create_dir(scene.directory.join(name)).unwrap();
        std::fs::write(scene.directory.join(name).join("file"), "x").unwrap();
    }
    std::os::unix::fs::chown(scene.layer("home/app"), Some(1000), Some(1001)).unwrap();
    let script = "stat -c '%u:%g %n' /bin/busybox /home/app /volume/file /host/file /scratch /dev /dev/null \
        /dev/shm /dev/mqueue; echo new > /etc/new; chown 7:8 /etc/new; echo new > /volume/new; mkdir /volume/made; \
        (echo bad > /host/new) 2>/dev/null || echo denied; stat -c %u:%g /etc/new; mknod /tmp/zero c 1 5 2>/dev/null || echo no nodes; \
        cat /proc/self/mounts | grep -c idmapped";
    let mut spec = mapped(&scene, script);
    spec.mounts = vec![
        Mount { owners: Owners::OfContainer, ..bind(&scene.directory.join("volume"), "/volume") },
        bind(&scene.directory.join("host"), "/host"),
        Mount { source: MountSource::Tmpfs("size=1m".into()), ..bind(&scene.directory, "/scratch") },
    ];
    let outcome = run(&spec).unwrap();
    let expected = "0:0 /bin/busybox\n1000:1001 /home/app\n0:0 /volume/file\n65534:65534 /host/file\n0:0 /scratch\n0:0 /dev\n\
        0:0 /dev/null\n0:0 /dev/shm\n0:0 /dev/mqueue\ndenied\n7:8\nno nodes\n1\n";
    assert_eq!(outcome.output, expected, "{outcome:?}");
    let owner = |path: &str| {
        let found = std::fs::symlink_metadata(scene.directory.join(path)).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!((owner("upper/etc/new"), owner("volume/new"), owner("volume/made")), ((7, 8), (0, 0), (0, 0)));
    assert_eq!((owner("upper"), owner("layer/bin/busybox")), ((0, 0), (0, 0)));
}

fn users_have_devices_and_terminals() {
    let scene = Scene::new();
    let mut spec = mapped(
        &scene,
        "tty; stat -c %u /dev/console; stat -c '%t:%T %u:%g' /dev/given/kmsg; head -c 2 /dev/zero | wc -c",
    );
    spec.process.terminal = true;
    spec.devices = vec![Device {
        path_on_host: "/dev/kmsg".into(),
        path_in_container: "/dev/given/kmsg".into(),
        permissions: "r".parse().unwrap(),
        owner: Some(3),
        ..Device::default()
    }];
    let mut running = create_with(&spec, Stdio::Terminal).unwrap().start(None).unwrap();
    let mut output = Vec::new();
    let mut master = std::fs::File::from(running.take_terminal().unwrap());
    // The last reader of a terminal gets EIO.
    let _ = master.read_to_end(&mut output);
    let output = String::from_utf8_lossy(&output).replace('\r', "");
    assert_eq!(output, "/dev/pts/0\n0\n1:b 3:0\n2\n");
    running.init().wait().unwrap();
    running.destroy().unwrap();
    spec.devices[0].path_in_container = "/opt/kmsg".into();
    let error =
        create(&spec).map(|(created, _ends)| created.start(None).map(drop)).and_then(|started| started);
    let words =
        "making the device node /opt/kmsg: a container with a user namespace has devices in /dev alone";
    assert_eq!(error.unwrap_err().to_string(), words);
}

fn users_of_an_exec() {
    let scene = Scene::new();
    let (running, _ends) = start(&mapped(&scene, "echo > /tmp/ready; sleep 100")).unwrap();
    eventually("it runs", || scene.directory.join("upper/tmp/ready").exists());
    let mut exec_process =
        process(&["sh", "-c", "id -u; id -g; touch /tmp/of-exec; echo again > /dev/stdout"]);
    exec_process.oom_score_adjustment = Some(100);
    exec_process.resource_limits = vec![ResourceLimit { name: "nofile".into(), soft: 600, hard: 1_000 }];
    let outcome = exec(&running, &exec_process, false);
    assert_eq!(outcome.output, "0\n0\nagain\n", "{outcome:?}");
    exec_process.user = "app".into();
    let outcome = exec(&running, &exec_process, false);
    assert_eq!(outcome.output, "1000\n1001\nagain\n", "{outcome:?}");
    let found = std::fs::metadata(scene.directory.join("upper/tmp/of-exec")).unwrap();
    assert_eq!((found.uid(), found.gid()), (0, 0));
    let script =
        "readlink /proc/1/ns/user; readlink /proc/self/ns/user; awk '/CapEff/ {print $2}' /proc/self/status";
    let outcome = exec(&running, &process(&["sh", "-c", script]), true);
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines[0], lines[1], "{outcome:?}");
    end(&running);
}

fn users_are_shared_with_who_joins() {
    let (scene, other) = (Scene::new(), Scene::new());
    let (running, _ends) = start(&mapped(&scene, "sleep 100")).unwrap();
    let script = "readlink /proc/self/ns/user; readlink /proc/self/ns/net; ip addr add 10.1.2.3/32 dev lo && echo changed";
    let mut spec = mapped(&other, script);
    let reference = running.init().reference();
    spec.namespaces.network = Namespace::Process(reference);
    spec.namespaces.ipc = Namespace::Process(reference);
    spec.process.capabilities.push("CAP_NET_ADMIN".into());
    let outcome = run(&spec).unwrap();
    let link = |name: &str| std::fs::read_link(format!("/proc/{}/ns/{name}", reference.pid)).unwrap();
    let expected = format!("{}\n{}\nchanged\n", link("user").display(), link("net").display());
    assert_eq!(outcome.output, expected, "{outcome:?}");
    end(&running);
}
