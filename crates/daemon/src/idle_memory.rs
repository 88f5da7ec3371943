//! Gives memory back to the kernel after the start and whenever the daemon has become quiet.
//!
//! The program's own pages are let go of too, and each place that runs afterwards maps what lies around it again, up to a whole
//! folio of the page cache. So a thread does this that then sleeps in a few functions: the end of a task, a timer of the runtime
//! and the waking of its threads would map a dozen places. While the daemon is quiet it uses no processor time.

use std::io;
use std::sync::{Arc, Weak};
use std::thread::{Builder, sleep};
use std::time::Duration;

use docker_api::Requests;
use engine::Engine;

/// How often a daemon that has work is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// So many polls that find no further request make a daemon quiet. The store writes out what it has recorded one second after
/// the last request, and threads for blocking work end then: both are to be over.
const QUIET_POLLS: u32 = 6;
/// The databases' own threads sleep again so long after they have let go of their pages.
const DATABASES: Duration = Duration::from_millis(50);

/// Starts the thread. It ends when the engine is gone.
///
/// # Errors
/// When the kernel refuses a thread.
pub(crate) fn start(engine: Weak<Engine>, requests: Arc<Requests>) -> io::Result<()> {
    Builder::new().name("memory".to_owned()).spawn(move || run(&engine, &requests)).map(drop)
}

fn run(engine: &Weak<Engine>, requests: &Requests) {
    loop {
        let served = until_quiet(requests);
        match engine.upgrade() {
            Some(engine) => engine.release_pages(),
            None => return,
        }
        sleep(DATABASES);
        // A failure would only mean that nothing was given back.
        let _ = engine::sys::memory::give_back();
        requests.wait_for_more_than(served);
    }
}

/// Waits until no request was answered for a while; gives how many were until then.
fn until_quiet(requests: &Requests) -> u64 {
    let mut served = requests.count();
    let mut polls = 0;
    while polls < QUIET_POLLS {
        sleep(POLL_INTERVAL);
        let now = requests.count();
        polls = if now == served { polls + 1 } else { 0 };
        served = now;
    }
    served
}
