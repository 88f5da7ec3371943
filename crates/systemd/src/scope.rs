//! Scopes: started around a process, limited, stopped.

use std::path::Path;

use model::Resources;
use zbus::zvariant::Value;

use crate::bus::{Operation, Systemd, unless_gone};
use crate::properties::{self, Property};
use crate::{Error, Slice};

/// A scope to start: a cgroup around a process, in a slice.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The unit's name, which ends with `.scope`.
    pub name: &'a str,
    /// The description for people.
    pub description: &'a str,
    /// The slice that holds it.
    pub slice: &'a Slice,
    /// The process; it may be in the scope's cgroup already.
    pub process: u32,
    /// Its limits.
    pub resources: &'a Resources,
}

impl Systemd {
    /// Checks that systemd answers and can keep cgroups of this host, which are mounted at `cgroups`.
    ///
    /// # Errors
    /// [`Error::NotUnified`] where there is more than version 2; where systemd does not answer, why.
    pub async fn check(&self, cgroups: &Path) -> Result<(), Error> {
        if !cgroups.join("cgroup.controllers").exists() {
            return Err(Error::NotUnified { path: cgroups.to_owned() });
        }
        // The scope of systemd itself is always there, systemd.special(7).
        let operation = Operation { verb: "find", unit: "init.scope" };
        let find = async {
            let found = self.connect().await?.call("GetUnit", &operation.unit).await;
            found.map(drop).map_err(|source| operation.failed(source))
        };
        self.within_time(operation, find).await
    }

    /// Starts a scope with its limits around a process. All controllers are delegated: what is beneath the scope is the
    /// container's.
    ///
    /// # Errors
    /// What systemd refuses, a job that fails, or no end of it in time.
    pub async fn start_scope(&self, scope: &Scope<'_>) -> Result<(), Error> {
        let mut properties: Vec<Property> = vec![
            ("Description", Value::from(scope.description.to_owned())),
            ("Slice", Value::from(scope.slice.name().to_owned())),
            ("PIDs", Value::from(vec![scope.process])),
            ("Delegate", Value::from(true)),
            // The kubelet ends pods at a shutdown, in its own order.
            ("DefaultDependencies", Value::from(false)),
            ("CollectMode", Value::from("inactive-or-failed")),
            // systemd limits the tasks of units by default.
            ("TasksMax", Value::from(u64::MAX)),
        ];
        // Of two values of a property the last one counts.
        properties.extend(properties::of_resources(scope.resources));
        let auxiliary: Vec<(&str, Vec<Property>)> = Vec::new();
        let body = (scope.name, "fail", properties, auxiliary);
        let operation = Operation { verb: "start", unit: scope.name };
        let start = async { self.connect().await?.run_job(operation, "StartTransientUnit", &body).await };
        self.within_time(operation, start).await
    }

    /// Changes limits of a scope; those that are not given stay.
    ///
    /// # Errors
    /// What systemd refuses, or no answer in time.
    pub async fn limit_scope(&self, name: &str, resources: &Resources) -> Result<(), Error> {
        let is_lost_at_boot = true;
        let body = (name, is_lost_at_boot, properties::of_resources(resources));
        let operation = Operation { verb: "limit", unit: name };
        let limit = async {
            let changed = self.connect().await?.call("SetUnitProperties", &body).await;
            changed.map(drop).map_err(|source| operation.failed(source))
        };
        self.within_time(operation, limit).await
    }

    /// Ends a scope, whose processes have ended already, and resets its state; a missing one is not an error.
    ///
    /// # Errors
    /// A scope that does not end.
    pub async fn stop_scope(&self, name: &str) -> Result<(), Error> {
        let operation = Operation { verb: "stop", unit: name };
        let stop = async {
            let manager = self.connect().await?;
            unless_gone(manager.run_job(operation, "StopUnit", &(name, "replace")).await)?;
            let forgotten = manager.call("ResetFailedUnit", &name).await;
            unless_gone(forgotten.map(drop).map_err(|source| operation.failed(source)))
        };
        self.within_time(operation, stop).await
    }
}
