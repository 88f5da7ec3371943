//! Settings of cgroup version 2 by the names of their files: a kubelet of a host that has it sends some with each container.

use std::path::Path;

use berth_tests::cri::Cri;
use cri_messages::container::{UpdateContainerResourcesRequest, UpdateContainerResourcesResponse};
use cri_messages::security::LinuxContainerResources;
use tonic::Code;

use crate::engine;
use crate::pod::{container, create, exec, limited, pod, remove, run, shell, start};

fn files(pairs: &[(&str, &str)]) -> LinuxContainerResources {
    let unified = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    LinuxContainerResources { unified: unified.collect(), ..LinuxContainerResources::default() }
}

#[test]
fn files_of_controllers_are_set_where_the_host_has_them() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "files")).expect("a pod");
    let main = |resources| limited(shell("main", "sleep 1000"), resources);
    let refusal = create(&cri, &sandbox, main(files(&[("cgroup.procs", "1")]))).expect_err("no controller's");
    assert_eq!(
        (refusal.code(), refusal.message()),
        (Code::InvalidArgument, "unified: \"cgroup.procs\" is not a file of a cgroup controller")
    );
    let group = files(&[("memory.oom.group", "1")]);
    let id = create(&cri, &sandbox, main(group.clone())).expect("a container");
    let shown = container(&cri, &id).expect("a status").resources.expect("limits").linux.expect("Linux");
    assert_eq!(shown.unified, group.unified);
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        start(&cri, &id).expect("started");
        assert_eq!(exec(&cri, &id, "cat /sys/fs/cgroup/memory.oom.group").0, "1\n");
        let asked = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(files(&[("memory.high", "67108864")])),
            ..UpdateContainerResourcesRequest::default()
        };
        let method = "RuntimeService/UpdateContainerResources";
        let _: UpdateContainerResourcesResponse = cri.call(method, asked).expect("changed");
        let script = "cat /sys/fs/cgroup/memory.high /sys/fs/cgroup/memory.oom.group";
        assert_eq!(exec(&cri, &id, script).0, "67108864\n1\n");
    } else {
        let refusal = start(&cri, &id).expect_err("cgroups of version 1");
        let words = "setting memory.oom.group, which cgroup version 2 of this host does not have";
        assert!(refusal.message().contains(words), "{refusal}");
    }
    remove(&cri, &sandbox);
}
