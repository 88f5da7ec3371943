//! The variables of a further process in a container: the container's own, then the requested ones.

use crate::cdi;
use crate::container::Record;
use crate::container::saved_exec::ExecConfig;
use crate::container::specification::{self, full_hostname, put_variable};
use crate::exec::Execs;

impl Execs {
    /// The environment of a process with this configuration.
    pub(crate) async fn environment(&self, record: &Record, config: &ExecConfig) -> Vec<String> {
        let links = self.networking.links.environment(record);
        let joined = record.settings.host.network_mode.joined();
        // The host name belongs to the network.
        let hostname = match joined.and_then(|other| self.directory.find(other.as_str()).ok()) {
            Some(other) => full_hostname(&other.record().settings),
            None => full_hostname(&record.settings),
        };
        let mut environment = specification::environment(record, &hostname, config.tty, &links);
        for variable in self.of_devices(record).await.iter().chain(&config.env) {
            put_variable(&mut environment, variable);
        }
        environment
    }

    /// The variables of the devices of a container of a pod; in Docker's API only a container's own process has them.
    async fn of_devices(&self, record: &Record) -> Vec<String> {
        let requests = record.settings.host.device_requests.clone().unwrap_or_default();
        if record.pod.is_none() || requests.is_empty() {
            return Vec::new();
        }
        let directories = self.options.cdi_directories.clone();
        let read = tokio::task::spawn_blocking(move || cdi::resolve(&requests, &directories)).await;
        let resolved = crate::outcome::joined(read)
            .map_err(|error| error.to_string())
            .and_then(|resolved| resolved.map_err(|error| error.to_string()));
        match resolved {
            Ok(edits) => edits.environment,
            // The container has its devices; a probe of its health is not to fail for a file that went since.
            Err(error) => {
                tracing::warn!("a command in container {} has no variables of devices: {error}", record.id);
                Vec::new()
            }
        }
    }
}
