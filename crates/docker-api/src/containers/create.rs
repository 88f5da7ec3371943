//! `POST /containers/create`: the body's two halves, checked for what no engine could mean.

use engine::NewContainer;
use http::StatusCode;
use model::{Config, HostConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::unsupported;
use crate::wire::CreateAnswer;
use crate::{ApiError, Call, Handled, Reply, json};

/// Fewest and most CPU shares that the kernel takes.
const CPU_SHARES: (i64, i64) = (2, 262_144);

/// What stands beside `Config` in the body: limits where clients before 1.19 put them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Beside {
    memory: i64,
    memory_swap: i64,
    cpu_shares: i64,
    cpuset: String,
    cpuset_cpus: String,
}

pub(super) async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let wrong = |error: json::JsonError| ApiError::refused(error.to_string());
    let object = json::object(&body).map_err(wrong)?;
    let fields = object.as_object().cloned().unwrap_or_default();
    let given = field(&fields, "HostConfig").filter(|value| !value.is_null()).cloned();
    unsupported::refuse(&fields, given.as_ref())?;
    let is_empty = fields.keys().all(|key| key.eq_ignore_ascii_case("HostConfig"));
    let config: Option<Config> =
        if is_empty { None } else { Some(json::from_object(object.clone()).map_err(wrong)?) };
    let mut host_config = match given {
        Some(host) => {
            let host = json::from_object(Value::Object(Map::from_iter([("HostConfig".to_owned(), host)])));
            host.map(|Wrapped { host_config }| host_config).map_err(wrong)?
        }
        None => HostConfig::default(),
    };
    take_from_beside(&mut host_config, json::from_object(object).map_err(wrong)?);
    if !call.version.cpu_shares_are_checked() && host_config.cpu_shares > 0 {
        host_config.cpu_shares = host_config.cpu_shares.clamp(CPU_SHARES.0, CPU_SHARES.1);
    }
    let name = call.query.filled("name").map(str::to_owned);
    let created = call.engine.containers.create(NewContainer { name, config, host_config }).await?;
    let warnings = (!created.warnings.is_empty()).then_some(created.warnings);
    Reply::json(StatusCode::CREATED, &CreateAnswer { id: created.id.to_string(), warnings })
}

/// Errors within it name `HostConfig` first.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped {
    host_config: HostConfig,
}

pub(super) fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields
        .get(name)
        .or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn take_from_beside(host: &mut HostConfig, beside: Beside) {
    let number = |held: &mut i64, other: i64| {
        if *held == 0 {
            *held = other;
        }
    };
    number(&mut host.memory, beside.memory);
    number(&mut host.memory_swap, beside.memory_swap);
    number(&mut host.cpu_shares, beside.cpu_shares);
    if host.cpuset_cpus.is_empty() {
        host.cpuset_cpus = if beside.cpuset_cpus.is_empty() { beside.cpuset } else { beside.cpuset_cpus };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_limits_fill_what_the_host_config_leaves_open() {
        let mut host = HostConfig { memory: 7, ..HostConfig::default() };
        let beside = json::from_body(br#"{"Memory":9,"CpuShares":5,"cpuset":"0,1"}"#).expect("body");
        take_from_beside(&mut host, beside);
        assert_eq!((host.memory, host.cpu_shares, host.cpuset_cpus.as_str()), (7, 5, "0,1"));
    }
}
