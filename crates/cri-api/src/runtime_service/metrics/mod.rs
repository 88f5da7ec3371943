//! `ListMetricDescriptors`, `ListPodSandboxMetrics`: what pods and containers use, in the names that cAdvisor gave it.

mod reading;
mod table;

use std::sync::Arc;

use engine::Record;

use self::reading::Reading;
use self::table::{CONTAINER, Described, POD};
use super::RuntimeService;
use crate::description;
use crate::wire::container::ContainerConfig;
use crate::wire::metrics::{
    ContainerMetrics, ListMetricDescriptorsRequest, ListMetricDescriptorsResponse,
    ListPodSandboxMetricsRequest, ListPodSandboxMetricsResponse, Metric, MetricDescriptor, PodSandboxMetrics,
};
use crate::wire::sandbox::PodSandboxConfig;
use crate::wire::value::UInt64Value;

/// The labels of every metric; some have more behind them.
const LABELS: [&str; 6] = ["container", "id", "image", "name", "namespace", "pod"];

impl RuntimeService {
    /// `ListMetricDescriptors`
    pub(crate) fn metric_descriptors(
        &self,
        _asked: &ListMetricDescriptorsRequest,
    ) -> ListMetricDescriptorsResponse {
        let descriptor = |metric: &Described| MetricDescriptor {
            name: metric.name.to_owned(),
            help: metric.help.to_owned(),
            label_keys: LABELS.iter().chain(metric.labels).map(|label| (*label).to_owned()).collect(),
        };
        ListMetricDescriptorsResponse { descriptors: CONTAINER.iter().chain(POD).map(descriptor).collect() }
    }

    /// `ListPodSandboxMetrics`: of the pods that run.
    pub(crate) async fn sandbox_metrics(
        self: Arc<Self>,
        _asked: ListPodSandboxMetricsRequest,
    ) -> ListPodSandboxMetricsResponse {
        let mut pod_metrics = Vec::new();
        let containers = self.engine.pods.containers();
        for sandbox in self.engine.pods.sandboxes().into_iter().filter(|sandbox| sandbox.is_running()) {
            let config: PodSandboxConfig = description::read(&sandbox);
            let metadata = config.metadata.unwrap_or_default();
            let pod = [metadata.namespace, metadata.name];
            // What goes meanwhile is not listed.
            let Ok(reading) = Reading::of(&self.engine, &sandbox).await else { continue };
            let metrics = measured(POD, &reading, &labels("POD", &sandbox, "", &pod));
            let mut container_metrics = Vec::new();
            let is_in = |container: &&Arc<Record>| {
                container.is_running()
                    && container.pod.as_ref().and_then(|pod| pod.sandbox()) == Some(&sandbox.id)
            };
            for container in containers.iter().filter(is_in) {
                let Ok(reading) = Reading::of(&self.engine, container).await else { continue };
                let config: ContainerConfig = description::read(container);
                let name = config.metadata.unwrap_or_default().name;
                let image = config.image.unwrap_or_default().image;
                let metrics = measured(CONTAINER, &reading, &labels(&name, container, &image, &pod));
                container_metrics.push(ContainerMetrics { container_id: container.id.to_string(), metrics });
            }
            pod_metrics.push(PodSandboxMetrics {
                pod_sandbox_id: sandbox.id.to_string(),
                metrics,
                container_metrics,
            });
        }
        ListPodSandboxMetricsResponse { pod_metrics }
    }
}

/// The values of [`LABELS`].
fn labels(container: &str, record: &Record, image: &str, [namespace, pod]: &[String; 2]) -> [String; 6] {
    let id = record.id.to_string();
    [container.to_owned(), id.clone(), image.to_owned(), id, namespace.clone(), pod.clone()]
}

fn measured(metrics: &[Described], reading: &Reading, labels: &[String; 6]) -> Vec<Metric> {
    let of_one = |described: &Described| {
        let values = (described.values)(reading);
        let metric = |(more, value): (Vec<String>, u64)| Metric {
            name: described.name.to_owned(),
            timestamp: 0,
            metric_type: described.kind.into(),
            label_values: labels.iter().cloned().chain(more).collect(),
            value: Some(UInt64Value { value }),
        };
        values.into_iter().map(metric).collect::<Vec<_>>()
    };
    metrics.iter().flat_map(of_one).collect()
}
