//! The words of berth's domain: ids, references, settings, events. No I/O.
//!
//! Every other crate speaks in these types. [`Config`], [`HostConfig`] and
//! [`ImageConfig`] serialise in the documented form of the API (and are stored
//! in that form); everything else past the edge is a parsed type.

mod causes;
mod config;
mod digest;
mod error;
mod event;
mod host_config;
mod id;
mod image;
mod reference;
mod signal;
mod spec;
mod statistics;
mod sysctl;
mod timestamp;

pub use causes::with_causes;
pub use config::{Config, EmptyObject, HealthCheck, StringOrList};
pub use digest::{Digest, DigestError};
pub use error::ErrorKind;
pub use event::{Actor, Event, ResourceKind};
pub use host_config::{
    BindMount, BlkioDevice, DeviceMapping, HostConfig, KeyValuePair, LogConfig, LxcConf, MountPoint,
    MountSpec, PortBinding, PortMap, RestartPolicy, Ulimit,
};
pub use id::{ContainerId, ExecId, IdError};
pub use image::{History, ImageConfig, RootFs};
pub use reference::{ImageReference, ReferenceError, RepositoryName, Tag, split_tag};
pub use signal::{Signal, SignalError};
pub use spec::*;
pub use statistics::{BlockCounter, InterfaceCounters, Statistics};
pub use sysctl::{SharedSysctl, SysctlScope, check_sysctls};
pub use timestamp::{Timestamp, TimestampError};
