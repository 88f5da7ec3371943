//! Restores the firewall's rules when other programs change the host's.
//!
//! An administrator's `nft flush ruleset` (a restart of the service nftables does it), a dockerd that is
//! started later and drops what is forwarded, an `iptables -F`: each would cut containers off until the
//! daemon's next start. So a thread receives the kernel's notifications of other programs' changes, and
//! checks the rules: the table is made again where rules of it are missing, and the rules in the host's own
//! chain where they are needed. Changes that only add to another table cost nothing but the check.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sys::netlink::{Events, Listener, Protocol};

use super::host::Host;
use crate::error::Error;

/// `NFNLGRP_NFTABLES`, linux/netfilter/nfnetlink.h.
const CHANGES_OF_RULES: u32 = 7;
/// Changes come in crowds: the check waits until there is none for this long.
const QUIET: Duration = Duration::from_millis(20);
/// But a crowd without an end does not put it off for more than so many of them.
const MOST_IN_A_CROWD: u32 = 50;

/// The thread that listens. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Watcher {
    listener: Arc<Listener>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts the thread for a host that has a firewall.
    pub(super) fn start(host: Arc<Host>) -> Result<Self, Error> {
        let listener = Listener::open(Protocol::Netfilter, &[CHANGES_OF_RULES]);
        let listener = Arc::new(listener.map_err(|source| Error::Socket { source })?);
        let of_thread = Arc::clone(&listener);
        let thread = std::thread::Builder::new()
            .name("firewall".to_owned())
            .spawn(move || watch(&of_thread, &host))
            .map_err(|source| Error::Socket { source })?;
        Ok(Self { listener, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.listener.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked watches no more, which is what is wanted.
            let _ = thread.join();
        }
    }
}

fn watch(listener: &Listener, host: &Host) {
    let own = host.firewall().and_then(|firewall| firewall.port());
    loop {
        match others_changed(listener, own) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!("changes of the host's firewall are no longer noticed: {error}");
                return;
            }
        }
        if let Err(error) = host.mend_firewall() {
            tracing::warn!("cannot restore the firewall after another program changed it: {error}");
        }
    }
}

/// Waits until others have changed something and are done with it; `false` at the end.
fn others_changed(listener: &Listener, own: Option<u32>) -> io::Result<bool> {
    let mut changed = false;
    let mut crowd = 0;
    while crowd < MOST_IN_A_CROWD {
        match listener.wait(changed.then_some(QUIET))? {
            Events::Closed => return Ok(false),
            Events::None if changed => break,
            Events::None => {}
            Events::TooMany => changed = true,
            Events::Some(events) => changed |= events.iter().any(|event| Some(event.origin) != own),
        }
        crowd += u32::from(changed);
    }
    Ok(true)
}
