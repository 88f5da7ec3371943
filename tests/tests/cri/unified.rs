//! Settings of cgroup version 2 by the names of their files: a kubelet of a host that has it sends some with each container.

use std::path::Path;

use berth_tests::cri::Cri;
use cri_messages::container::{UpdateContainerResourcesRequest, UpdateContainerResourcesResponse};
use cri_messages::security::{HugepageLimit, LinuxContainerResources};
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
        let change = |linux: LinuxContainerResources| {
            let asked = UpdateContainerResourcesRequest {
                container_id: id.clone(),
                linux: Some(linux),
                ..UpdateContainerResourcesRequest::default()
            };
            let _: UpdateContainerResourcesResponse = cri.call(method, asked).expect("changed");
        };
        change(files(&[("memory.max", "100663296")]));
        change(LinuxContainerResources {
            memory_limit_in_bytes: 128 << 20,
            ..LinuxContainerResources::default()
        });
        assert_eq!(exec(&cri, &id, "cat /sys/fs/cgroup/memory.max").0, "134217728\n");
    } else {
        let refusal = start(&cri, &id).expect_err("cgroups of version 1");
        let words = "setting memory.oom.group, which cgroup version 2 of this host does not have";
        assert!(refusal.message().contains(words), "{refusal}");
    }
    remove(&cri, &sandbox);
}

#[test]
fn huge_pages_are_limited_where_the_host_counts_them() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "huge")).expect("a pod");
    let limit = |limit| HugepageLimit { page_size: "2MB".to_owned(), limit };
    let main = |name: &str, bytes| {
        let resources = LinuxContainerResources {
            hugepage_limits: vec![limit(bytes)],
            ..LinuxContainerResources::default()
        };
        limited(shell(name, "sleep 1000"), resources)
    };
    let id = create(&cri, &sandbox, main("main", 4 << 20)).expect("a container");
    let shown = container(&cri, &id).expect("a status").resources.expect("limits").linux.expect("Linux");
    assert_eq!(shown.hugepage_limits, [limit(4 << 20)]);
    let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let has_pages = Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists();
    let file = if controllers.split_whitespace().any(|name| name == "hugetlb") {
        Some("/sys/fs/cgroup/hugetlb.2MB.max")
    } else {
        let of_version_one = "/sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes";
        Path::new(of_version_one).exists().then_some(of_version_one)
    };
    match file.filter(|_| has_pages) {
        Some(file) => {
            start(&cri, &id).expect("started");
            assert_eq!(exec(&cri, &id, &format!("cat {file}")).0, "4194304\n");
        }
        None => {
            let refusal = start(&cri, &id).expect_err("nothing counts them");
            assert!(refusal.message().contains("limiting huge pages of 2MB"), "{refusal}");
        }
    }
    let without = create(&cri, &sandbox, main("without", 0)).expect("a container");
    start(&cri, &without).expect("no pages are no limit where there are none");
    remove(&cri, &sandbox);
}
