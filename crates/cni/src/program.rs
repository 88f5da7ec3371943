//! Runs one plugin: its configuration on its standard input, its result on its standard output.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde_json::{Map, Value};
use sys::bounded_read::read_stream;

use crate::error::Error;
use crate::request::Command;
use crate::result::failure;

/// How long a plugin may take: kubelets wait four minutes for a pod.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Bytes of a result or a message that are read.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// The plugins of the host.
#[derive(Debug, Clone)]
pub(crate) struct Programs(pub(crate) Vec<PathBuf>);

/// What one plugin is asked.
pub(crate) struct Question<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) command: Command,
    pub(crate) request: Map<String, Value>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Programs {
    /// Runs a plugin; gives what it wrote.
    ///
    /// # Errors
    /// No such plugin, one that cannot be run, does not end or reports a failure.
    pub(crate) fn run(&self, question: Question<'_>) -> Result<Vec<u8>, Error> {
        let Question { plugin, command, request, variables } = question;
        let failed = |source| Error::Run { plugin: plugin.to_owned(), source };
        let program = self.find(plugin)?;
        let mut process = Process::new(program);
        process.env("CNI_COMMAND", command.name()).env("CNI_PATH", self.path()).envs(variables);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = process.spawn().map_err(failed)?;
        let ended = converse(&mut child, Value::Object(request).to_string().into_bytes());
        match ended.map_err(failed)? {
            None => {
                Err(Error::TooLong { plugin: plugin.to_owned(), command: command.name(), limit: TIMEOUT })
            }
            Some(Output { status, stdout, .. }) if status.success() => Ok(stdout),
            Some(Output { stdout, stderr, .. }) => Err(Error::Refused {
                plugin: plugin.to_owned(),
                command: command.name(),
                reason: failure(&stdout, &stderr),
            }),
        }
    }

    fn find(&self, plugin: &str) -> Result<PathBuf, Error> {
        let found = self.0.iter().map(|directory| directory.join(plugin)).find(|path| path.is_file());
        found.ok_or_else(|| Error::NoPlugin { plugin: plugin.to_owned(), directories: self.0.clone() })
    }

    /// `CNI_PATH`, by which plugins find those that they delegate to.
    fn path(&self) -> String {
        let directories = self.0.iter().map(|directory| directory.display().to_string());
        directories.collect::<Vec<_>>().join(":")
    }
}

struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Gives a plugin its input and waits for its end; nothing when it was killed for taking too long.
fn converse(child: &mut Child, input: Vec<u8>) -> io::Result<Option<Output>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let readers = (scope.spawn(move || read(stdout)), scope.spawn(move || read(stderr)));
        let in_time = wait(pid);
        if !matches!(in_time, Ok(true)) {
            // With all that it has started: these hold its pipes.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let output = (readers.0.join().unwrap_or_default(), readers.1.join().unwrap_or_default());
        in_time.map(|in_time| (in_time, output))
    });
    let status = child.wait()?;
    let (in_time, (stdout, stderr)) = ended?;
    Ok(in_time.then_some(Output { status, stdout, stderr }))
}

/// Waits for the end of a process, so long as it may take; says whether it has ended.
fn wait(pid: Pid) -> io::Result<bool> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let limit = Timespec { tv_sec: i64::try_from(TIMEOUT.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(stream: Option<impl Read>) -> Vec<u8> {
    // Output that breaks off, or has no end, is no result.
    stream.and_then(|stream| read_stream(stream, OUTPUT_LIMIT).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn run(name: &str, script: &str) -> Result<String, Error> {
        let directory = std::env::temp_dir().join(format!("cni-program-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("plugin");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
        let programs = Programs(vec![directory.join("none"), directory.clone()]);
        let request = Map::from_iter([("name".to_owned(), Value::from("net"))]);
        let variables = vec![("CNI_IFNAME", "eth0".to_owned())];
        let question = Question { plugin: "plugin", command: Command::Add, request, variables };
        let written = programs.run(question).map(|bytes| String::from_utf8(bytes).expect("text"));
        fs::remove_dir_all(&directory).expect("removed");
        written
    }

    #[test]
    fn a_plugin_gets_its_input_and_variables_and_gives_its_output() {
        let written =
            run("good", "echo \"$CNI_COMMAND $CNI_IFNAME $(cat) ${CNI_PATH##*/}\"").expect("output");
        assert!(written.starts_with("ADD eth0 {\"name\":\"net\"} cni-program-good-"), "{written}");
        // One that does not read its input is not harmed.
        assert_eq!(run("deaf", "echo done").expect("output"), "done\n");
    }

    #[test]
    fn a_failure_is_told_in_its_words() {
        let error = run("bad", "echo '{\"code\": 7, \"msg\": \"no\"}'; exit 1").expect_err("a failure");
        assert_eq!(error.to_string(), "the CNI plugin \"plugin\" failed at ADD: no");
        let none = Programs(Vec::new());
        let question =
            Question { plugin: "p", command: Command::Delete, request: Map::new(), variables: Vec::new() };
        assert!(matches!(none.run(question), Err(Error::NoPlugin { .. })));
    }
}
