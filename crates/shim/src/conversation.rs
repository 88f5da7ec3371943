//! One daemon's connection: state first, then its requests; the next one replaces it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use shim_protocol::Notice;
use sys::epoll::Event;

use crate::daemon::Incoming;
use crate::supervisor::{Phase, Supervisor};

/// How long a container that is not started waits for a daemon.
const DESERTION_TIMEOUT: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(crate) fn notify(&mut self, notice: &Notice) {
        self.shared.daemon.notify(notice, None, &self.shared.poller);
    }

    pub(crate) fn report_created(&mut self, network: Option<BorrowedFd<'_>>) {
        let Some(init) = self.processes.init else {
            return;
        };
        let notice = Notice::Created { init, cgroups: self.processes.cgroups.clone() };
        self.shared.daemon.notify(&notice, network, &self.shared.poller);
    }

    fn report_created_again(&mut self) {
        let network = match &self.phase {
            Phase::Waiting(created) => created.network_namespace(),
            Phase::Running(_) | Phase::Over(_) => None,
        };
        let network = network.and_then(|network| network.try_clone_to_owned().ok());
        self.report_created(network.as_ref().map(AsFd::as_fd));
    }

    pub(crate) fn on_daemon(&mut self, event: Event) {
        if event.writable {
            self.shared.daemon.flush(&self.shared.poller);
        }
        if event.readable || event.hung_up {
            while let Some(incoming) = self.shared.daemon.receive(&self.shared.poller) {
                match incoming {
                    Incoming::Request(envelope, descriptor) => self.answer(envelope, descriptor),
                    Incoming::Unsupported(number) => self.refuse_unknown(number),
                }
            }
        }
        self.note_desertion();
    }

    /// A container that is not started cannot wait for ever for a daemon.
    pub(crate) fn note_desertion(&mut self) {
        if matches!(self.phase, Phase::Waiting(_)) && !self.shared.daemon.is_connected() {
            self.shared.deserted_since.get_or_insert(self.shared.now);
            self.shared.wake_in(DESERTION_TIMEOUT);
        }
    }

    /// The newest daemon wins, and receives the current state.
    pub(crate) fn on_new_daemon(&mut self) {
        while self.shared.daemon.accept(&self.shared.poller) {
            self.shared.deserted_since = None;
            self.report_created_again();
            if let Some(at) = self.started_at {
                self.notify(&Notice::Started { at });
            }
            if self.out_of_memory {
                self.notify(&Notice::OutOfMemory);
            }
            let lines = self.init.log().lost();
            if lines > 0 {
                self.notify(&Notice::LogDropped { lines });
            }
            self.init.log().report_again(&mut self.shared);
            for notice in &self.exec_ends {
                self.shared.daemon.notify(notice, None, &self.shared.poller);
            }
            self.forget_old_exec_ends();
            if let Phase::Over(notice) = &self.phase {
                let notice = notice.clone();
                self.notify(&notice);
            }
        }
    }

    /// Undoes a container that is not started and that no daemon came for.
    pub(crate) fn give_up_if_deserted(&mut self) {
        if let Some(since) = self.shared.deserted_since
            && matches!(self.phase, Phase::Waiting(_))
        {
            if self.shared.now >= since + DESERTION_TIMEOUT {
                self.abandon("the daemon went away before the container was started");
            } else {
                self.shared.alarm.set(since + DESERTION_TIMEOUT);
            }
        }
    }
}
