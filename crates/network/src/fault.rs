//! Places at which a test can let the set-up fail, to see that everything before is undone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A step of the set-up, which fails when its work is done, so that its own undoing is seen too; or one that takes
/// away, which fails before it has done anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Step {
    CreateBridge = 1,
    AddressBridge,
    SetBridgeUp,
    ConfigureHost,
    CollectInterfaces,
    AdoptEndpoints,
    BuildFirewall,
    ForwardOnHost,
    TakeAddress,
    HoldPorts,
    CreateInterface,
    RouteInterface,
    CarryPackets,
    OpenFirewall,
    ForgetConnections,
    CloseFirewall,
    RemoveInterface,
    RemoveBridge,
    LeaveFirewall,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Self; 19] = [
        Self::CreateBridge,
        Self::AddressBridge,
        Self::SetBridgeUp,
        Self::ConfigureHost,
        Self::CollectInterfaces,
        Self::AdoptEndpoints,
        Self::BuildFirewall,
        Self::ForwardOnHost,
        Self::TakeAddress,
        Self::HoldPorts,
        Self::CreateInterface,
        Self::RouteInterface,
        Self::CarryPackets,
        Self::OpenFirewall,
        Self::ForgetConnections,
        Self::CloseFirewall,
        Self::RemoveInterface,
        Self::RemoveBridge,
        Self::LeaveFirewall,
    ];
}

/// No step has a longer name, in bytes.
const LONGEST_NAME: u64 = 64;

/// Stands before the name of a step at which the process is to end.
const DIE_AT: &str = "die-at:";

/// A step failed because a test wanted it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fault injected at {0:?}")]
pub struct Injected(pub Step);

/// Which step fails next; by default none. Copies share the choice.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    next: Arc<AtomicU8>,
    file: Option<Arc<Path>>,
}

impl Faults {
    /// Lets the step fail that this file names, each time that it is written: the fault removes it. With
    /// `die-at:` before its name the process ends there, as if it had been killed.
    #[must_use]
    pub fn named_in(file: &Path) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }

    /// Lets the step fail once.
    pub fn fail_once(&self, step: Step) {
        self.next.store(step as u8, Ordering::Relaxed);
    }

    /// Whether the chosen fault has not happened.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.next.load(Ordering::Relaxed) != 0
    }

    /// Whether the file names this step, which it then does no longer.
    #[must_use]
    pub fn is_named(&self, step: &str) -> bool {
        let Some(file) = &self.file else { return false };
        let named = sys::bounded_read::read(file, LONGEST_NAME).unwrap_or_default();
        let named = named.trim_ascii();
        if named.strip_prefix(DIE_AT.as_bytes()) == Some(step.as_bytes())
            && std::fs::remove_file(file).is_ok()
        {
            sys::process::kill_self();
        }
        named == step.as_bytes() && std::fs::remove_file(file).is_ok()
    }

    pub(crate) fn pass(&self, step: Step) -> Result<(), Injected> {
        if self.file.is_some() && self.is_named(&format!("{step:?}")) {
            return Err(Injected(step));
        }
        match self.next.compare_exchange(step as u8, 0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Err(Injected(step)),
            Err(_) => Ok(()),
        }
    }
}
