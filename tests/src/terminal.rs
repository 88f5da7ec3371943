//! A pseudo terminal with a program on it, for clients that check whether they have one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use rustix::termios::Winsize;

use crate::http::contains;
use crate::wait;

/// A program whose controlling terminal is ours to type on.
#[derive(Debug)]
pub struct Terminal {
    controller: File,
    program: Child,
    seen: Vec<u8>,
}

impl Terminal {
    /// Starts a program on a new terminal of the given size.
    ///
    /// # Panics
    /// When the terminal cannot be made.
    #[must_use]
    pub fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        rows: u16,
        columns: u16,
    ) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
        grantpt(&controller).expect("the terminal's rights");
        unlockpt(&controller).expect("the terminal's lock");
        let name = ptsname(&controller, Vec::new()).expect("the terminal's name");
        let name = name.to_str().expect("a path").to_owned();
        resize(&controller, rows, columns);
        let open = || Stdio::from(File::options().read(true).write(true).open(&name).expect("the terminal"));
        let program = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("setsid (util-linux)");
        Self { controller: File::from(controller), program, seen: Vec::new() }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn send(&mut self, keys: &[u8]) {
        self.controller.write_all(keys).expect("the terminal to type on");
    }

    /// Types a line and waits until the shell has taken it. A shell that is notified of a new size shows the
    /// line again, also in its middle: only its end is compared.
    ///
    /// # Panics
    /// When the terminal is gone or does not show it.
    pub fn enter(&mut self, line: &str) {
        self.send(line.as_bytes());
        self.send(b"\n");
        self.expect("\r\n");
    }

    /// Changes the terminal's size; the program gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        use std::os::fd::AsFd;
        let descriptor: OwnedFd = self.controller.as_fd().try_clone_to_owned().expect("a descriptor");
        resize(&descriptor, rows, columns);
    }

    /// Reads until the terminal has shown this behind what an earlier call looked for.
    ///
    /// # Panics
    /// When it does not come in time, or the program ends before.
    pub fn expect(&mut self, wanted: &str) -> String {
        let end = Instant::now() + wait::TIMEOUT;
        loop {
            let found = self.seen.windows(wanted.len()).position(|window| window == wanted.as_bytes());
            if let Some(position) = found {
                let rest = self.seen.split_off(position + wanted.len());
                let seen = std::mem::replace(&mut self.seen, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let more = self.read_more(Duration::from_millis(200));
            let text = String::from_utf8_lossy(&self.seen);
            assert!(
                more || contains(&self.seen, wanted.as_bytes()),
                "the terminal ended without {wanted:?}: {text:?}"
            );
            assert!(Instant::now() < end, "the terminal does not show {wanted:?}: {text:?}");
        }
    }

    /// Waits for the program's end; gives its status and what the terminal still showed.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn finish(&mut self) -> (ExitStatus, String) {
        let end = Instant::now() + wait::TIMEOUT;
        let status = loop {
            self.read_more(Duration::from_millis(20));
            if let Some(status) = self.program.try_wait().expect("the program's status") {
                break status;
            }
            let text = String::from_utf8_lossy(&self.seen);
            assert!(Instant::now() < end, "the program hangs; its terminal shows {text:?}");
        };
        while self.read_more(Duration::from_millis(20)) {
            if Instant::now() > end {
                break;
            }
        }
        let seen = std::mem::take(&mut self.seen);
        (status, String::from_utf8_lossy(&seen).into_owned())
    }

    /// Takes what the terminal shows; false when its other side is closed.
    fn read_more(&mut self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).expect("a short time");
        let mut descriptors = [PollFd::new(&self.controller, PollFlags::IN)];
        if poll(&mut descriptors, Some(&timeout)).unwrap_or(0) == 0 {
            return self.program.try_wait().is_ok_and(|status| status.is_none());
        }
        let mut bytes = [0; 4096];
        match self.controller.read(&mut bytes) {
            Ok(count) if count > 0 => {
                self.seen.extend_from_slice(&bytes[..count]);
                true
            }
            _ => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.program.try_wait().is_ok_and(|status| status.is_none()) {
            let pid = Pid::from_child(&self.program);
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = self.program.kill();
            let _ = self.program.wait();
        }
    }
}

fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).expect("the terminal's size");
}
