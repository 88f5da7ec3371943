//! The types of berth's domain: ids, references, settings, events. No I/O.
//!
//! Every other crate uses these types. Past the edge everything is a parsed type: the forms of the API are in
//! crate `docker-api`, those of image documents in crate `images`.

mod binary_size;
mod causes;
mod credentials;
mod digest;
mod duration;
mod error;
mod event;
mod health;
mod id;
mod identity;
mod mac;
mod qualified_name;
mod reference;
mod settings;
mod signal;
mod spec;
mod statistics;
mod sysctl;
mod timestamp;
mod words;

pub use binary_size::split_binary_unit;
pub use causes::with_causes;
pub use credentials::without_credentials;
pub use digest::{Digest, DigestError};
pub use duration::parse_duration;
pub use error::ErrorKind;
pub use event::{Actor, Event, EventAction, ResourceKind, UnknownAction};
pub use health::{
    Health, HealthStatus, KEPT_RESULTS, Moment, NO_EXIT_CODE, PROBE_OUTPUT_LIMIT, ProbeResult,
    UnknownHealthStatus,
};
pub use id::{ContainerId, EndpointId, ExecId, IdError, NetworkId};
pub use identity::{AskedIdentity, Identity, IdentityError};
pub use mac::{MacAddress, MacAddressError};
pub use qualified_name::qualified;
pub use reference::{ImageReference, ReferenceError, RepositoryName, Tag, split_tag};
pub use settings::*;
pub use signal::{Signal, SignalError};
pub use spec::*;
pub use statistics::{BlockCounter, BlockOperation, InterfaceCounters, Statistics};
pub use sysctl::{SharedSysctl, SysctlScope, check_sysctls};
pub use timestamp::{Timestamp, TimestampError};
pub use words::{in_kernel_words, json_words, kernel_words};
