//! Places at which a test can let the set-up fail, to see that everything before is undone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A step of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Step {
    CreateBridge = 1,
    AddressBridge,
    SetBridgeUp,
    ConfigureHost,
    CollectLinks,
    AdoptEndpoints,
    BuildFirewall,
    ForwardOnHost,
    TakeAddress,
    HoldPorts,
    CreateLink,
    RouteLink,
    CarryPackets,
    OpenFirewall,
    ForgetConnections,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Self; 15] = [
        Self::CreateBridge,
        Self::AddressBridge,
        Self::SetBridgeUp,
        Self::ConfigureHost,
        Self::CollectLinks,
        Self::AdoptEndpoints,
        Self::BuildFirewall,
        Self::ForwardOnHost,
        Self::TakeAddress,
        Self::HoldPorts,
        Self::CreateLink,
        Self::RouteLink,
        Self::CarryPackets,
        Self::OpenFirewall,
        Self::ForgetConnections,
    ];
}

/// A step failed because a test wanted it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fault injected at {0:?}")]
pub struct Injected(pub Step);

/// Which step fails next; by default none. Copies share the choice.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<AtomicU8>);

impl Faults {
    /// Lets the step fail once, when its work is done, so that its own undoing is seen too.
    pub fn fail_once(&self, step: Step) {
        self.0.store(step as u8, Ordering::Relaxed);
    }

    /// Whether the chosen fault has not happened.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn pass(&self, step: Step) -> Result<(), Injected> {
        match self.0.compare_exchange(step as u8, 0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Err(Injected(step)),
            Err(_) => Ok(()),
        }
    }
}
