//! Binds a program's life to the thread that starts it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Has the kernel kill the program when the thread that starts it ends, so also when this process is killed:
/// `PR_SET_PDEATHSIG`, prctl(2). Children of the program are not killed.
pub fn kill_with_thread(command: &mut Command) {
    let parent = getpid();
    let bind = move || -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: the function makes system calls and allocates nothing: it may run between fork and exec, whatever other threads
    // of this process hold.
    unsafe { command.pre_exec(bind) };
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::thread;

    use super::*;

    #[test]
    fn the_program_ends_with_the_thread_that_started_it() {
        let starter = thread::spawn(|| {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            kill_with_thread(&mut command);
            command.spawn().expect("a program")
        });
        // Its input stays open: it would not end by itself.
        let mut child = starter.join().expect("the thread");
        let _input = child.stdin.take();
        let status = child.wait().expect("an end");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::KILL.as_raw()));
    }
}
