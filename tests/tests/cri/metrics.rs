//! What pods use: statistics and metrics of whole pods.

use std::collections::BTreeMap;

use berth_tests::cri::Cri;
use cri_messages::metrics::{
    ListMetricDescriptorsRequest, ListMetricDescriptorsResponse, ListPodSandboxMetricsRequest,
    ListPodSandboxMetricsResponse, Metric,
};
use cri_messages::statistics::{
    ListPodSandboxStatsRequest, ListPodSandboxStatsResponse, PodSandboxStatsFilter, PodSandboxStatsRequest,
    PodSandboxStatsResponse,
};

use crate::engine;
use crate::pod::{exec, pod, remove, run, shell, started};

#[test]
fn a_pods_statistics_are_those_of_all_that_is_in_it() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let other = run(&cri, pod(&engine, "other")).expect("a pod");
    let ids = ["one", "two"].map(|name| started(&cri, &sandbox, shell(name, "sleep 1000")));
    let asked = PodSandboxStatsRequest { pod_sandbox_id: sandbox.clone() };
    let answer: PodSandboxStatsResponse =
        cri.call("RuntimeService/PodSandboxStats", asked).expect("statistics");
    let stats = answer.stats.expect("statistics");
    let attributes = stats.attributes.expect("attributes");
    assert_eq!(
        (attributes.id.as_str(), attributes.metadata.expect("metadata").name.as_str()),
        (sandbox.as_str(), "pod")
    );
    let linux = stats.linux.expect("statistics");
    let mut seen: Vec<String> =
        linux.containers.iter().map(|one| one.attributes.as_ref().expect("attributes").id.clone()).collect();
    seen.sort_unstable();
    let mut expected = ids.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let of_containers: u64 = linux
        .containers
        .iter()
        .map(|one| one.memory.as_ref().expect("memory").usage_bytes.as_ref().expect("bytes").value)
        .sum();
    assert!(linux.memory.expect("memory").usage_bytes.expect("bytes").value >= of_containers);
    // Two containers have a process each, the sandbox its own.
    assert!(linux.process.expect("processes").process_count.expect("a count").value >= 3);
    let network = linux.network.expect("a network");
    assert_eq!(network.default_interface.expect("an interface").name, "eth0");
    let list = |filter: PodSandboxStatsFilter| {
        let asked = ListPodSandboxStatsRequest { filter: Some(filter) };
        let answer: ListPodSandboxStatsResponse =
            cri.call("RuntimeService/ListPodSandboxStats", asked).expect("statistics");
        answer.stats.into_iter().map(|stats| stats.attributes.expect("attributes").id).collect::<Vec<_>>()
    };
    assert_eq!(list(PodSandboxStatsFilter::default()).len(), 2);
    let label_selector = [("app".to_owned(), "other".to_owned())].into();
    assert_eq!(
        list(PodSandboxStatsFilter { label_selector, ..PodSandboxStatsFilter::default() }),
        std::slice::from_ref(&other)
    );
    remove(&cri, &sandbox);
    remove(&cri, &other);
}

#[test]
fn metrics_have_the_names_and_labels_that_are_described() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let _ = exec(&cri, &id, "head -c 100000 /dev/zero > /file");
    let answer: ListMetricDescriptorsResponse = cri
        .call("RuntimeService/ListMetricDescriptors", ListMetricDescriptorsRequest {})
        .expect("descriptors");
    let described: BTreeMap<String, Vec<String>> =
        answer.descriptors.into_iter().map(|metric| (metric.name, metric.label_keys)).collect();
    assert!(described.len() >= 40, "{described:?}");
    let answer: ListPodSandboxMetricsResponse =
        cri.call("RuntimeService/ListPodSandboxMetrics", ListPodSandboxMetricsRequest {}).expect("metrics");
    let [of_pod] = &answer.pod_metrics[..] else { panic!("{answer:?}") };
    assert_eq!(of_pod.pod_sandbox_id, sandbox);
    let [of_container] = &of_pod.container_metrics[..] else { panic!("{of_pod:?}") };
    assert_eq!(of_container.container_id, id);
    let label = |metric: &Metric, key: &str| -> Option<String> {
        let place = described[&metric.name].iter().position(|known| known == key)?;
        metric.label_values.get(place).cloned()
    };
    for metric in of_pod.metrics.iter().chain(&of_container.metrics) {
        assert_eq!(metric.label_values.len(), described[&metric.name].len(), "{metric:?}");
        assert_eq!(label(metric, "pod").as_deref(), Some("pod"));
        assert_eq!(label(metric, "namespace").as_deref(), Some("tests"));
    }
    let value = |name: &str| {
        let metric = of_container.metrics.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(label(metric, "container").as_deref(), Some("main"));
        metric.value.as_ref().expect("a value").value
    };
    assert!(value("container_fs_usage_bytes") >= 100_000);
    assert!(value("container_memory_usage_bytes") > 0);
    assert_eq!((value("container_processes"), value("container_threads")), (1, 1));
    assert!(value("container_file_descriptors") >= 3);
    assert_eq!(value("container_oom_events_total"), 0);
    assert!(value("container_start_time_seconds") <= value("container_last_seen"));
    let received =
        of_pod.metrics.iter().find(|metric| metric.name == "container_network_receive_bytes_total");
    assert_eq!(label(received.expect("a network"), "interface").as_deref(), Some("eth0"));
    remove(&cri, &sandbox);
}
