//! Runs one plugin: its configuration on its standard input, its result on its standard output.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command as Process, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde_json::{Map, Value};

use crate::cancellation::Cancellation;
use crate::conversation::{End, Written, converse};
use crate::error::Error;
use crate::request::Command;
use crate::result::failure;

/// The plugins of the host.
#[derive(Debug, Clone)]
pub(crate) struct Programs(pub(crate) Vec<PathBuf>);

/// The request to one plugin.
pub(crate) struct Question<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) command: Command,
    pub(crate) request: Map<String, Value>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Whether it was cancelled; without this it runs to its end.
    pub(crate) cancellation: Option<&'a Cancellation>,
}

impl Programs {
    /// Runs a plugin; returns its output.
    ///
    /// # Errors
    /// A plugin that does not exist, cannot be run, does not end, is cancelled or reports a failure.
    pub(crate) fn run(&self, question: Question<'_>) -> Result<Vec<u8>, Error> {
        let Question { plugin, command, request, variables, cancellation } = question;
        let cancelled = || Error::Cancelled { plugin: plugin.to_owned(), command: command.name() };
        if cancellation.is_some_and(Cancellation::is_cancelled) {
            return Err(cancelled());
        }
        let failed = |source| Error::Run { plugin: plugin.to_owned(), source };
        let program = self.find(plugin)?;
        let mut process = Process::new(program);
        process.env("CNI_COMMAND", command.name()).env("CNI_PATH", self.path()).envs(variables);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // One that outlived the daemon could add what the next daemon has deleted.
        sys::parent_death::kill_with_thread(&mut process);
        let mut child = process.spawn().map_err(failed)?;
        let limit = command.time_limit();
        let input = Value::Object(request).to_string();
        let (status, end) = run_to_end(&mut child, |child, process| {
            converse(child, process, input.as_bytes(), (limit, cancellation))
        })
        .map_err(failed)?;
        match end {
            End::TooLong => Err(Error::TooLong { plugin: plugin.to_owned(), command: command.name(), limit }),
            End::Cancelled => Err(cancelled()),
            End::Written(Written { stdout, .. }) if status.success() => Ok(stdout),
            End::Written(Written { stdout, stderr }) => Err(Error::Refused {
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

/// Converses with a plugin; one that has not ended by then is killed.
fn run_to_end(
    child: &mut Child,
    converse: impl FnOnce(&mut Child, OwnedFd) -> io::Result<End>,
) -> io::Result<(ExitStatus, End)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
    let conversation = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|process| converse(child, process));
    if !matches!(conversation, Ok(End::Written(_))) {
        // With all that it has started.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait()?;
    Ok((status, conversation?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn run(name: &str, script: &str) -> Result<String, Error> {
        run_with(name, script, Map::new(), None)
    }

    fn run_with(
        name: &str,
        script: &str,
        more: Map<String, Value>,
        cancellation: Option<&Cancellation>,
    ) -> Result<String, Error> {
        let directory = std::env::temp_dir().join(format!("cni-program-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        // Not written by this process: what another test starts meanwhile has its descriptor for a while, and a program
        // that is open for writing cannot be executed.
        let text = format!("#!/bin/sh\n{script}\n");
        let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let mut writer = std::process::Command::new("sh");
        writer.args(["-c", write]).arg(directory.join("plugin")).arg(text);
        assert!(writer.status().expect("a shell").success());
        let programs = Programs(vec![directory.join("none"), directory.clone()]);
        let mut request = Map::from_iter([("name".to_owned(), Value::from("net"))]);
        request.extend(more);
        let variables = vec![("CNI_IFNAME", "eth0".to_owned())];
        let question = Question { plugin: "plugin", command: Command::Add, request, variables, cancellation };
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
    fn input_and_output_may_be_longer_than_pipes_hold() {
        let long = || Map::from_iter([("long".to_owned(), Value::from("x".repeat(300_000)))]);
        let written = run_with("echo", "cat", long(), None).expect("output");
        assert!(written.len() > 300_000 && written.ends_with("\"}"), "{} bytes", written.len());
        assert_eq!(run_with("deaf-to-much", "echo done", long(), None).expect("output"), "done\n");
        // Output beyond the limit counts as empty.
        assert_eq!(run("endless", "head -c 3000000 /dev/zero; exit 0").expect("an end"), "");
    }

    #[test]
    fn what_a_plugin_leaves_running_is_not_waited_for() {
        let directory = std::env::temp_dir().join(format!("cni-left-{}", std::process::id()));
        let _ = fs::remove_file(&directory);
        // It holds the output until this test has seen the result.
        let script = format!("(while ! [ -e {} ]; do sleep 0.05; done) & echo done", directory.display());
        assert_eq!(run("leaves", &script).expect("output"), "done\n");
        fs::write(&directory, "").expect("a file");
    }

    #[test]
    fn what_is_not_wanted_any_more_is_killed_and_not_run_again() {
        let cancellation = Cancellation::new().expect("a descriptor");
        let begun = std::env::temp_dir().join(format!("cni-begun-{}", std::process::id()));
        let script = format!("echo > {}; exec sleep 1000", begun.display());
        let run = || run_with("cancelled", &script, Map::new(), Some(&cancellation));
        std::thread::scope(|scope| {
            let running = scope.spawn(run);
            while !begun.exists() {
                std::thread::yield_now();
            }
            assert!(!cancellation.is_cancelled());
            cancellation.cancel();
            let error = running.join().expect("a thread").expect_err("cancelled");
            assert_eq!(error.to_string(), "the CNI plugin \"plugin\" was broken off at ADD");
        });
        fs::remove_file(&begun).expect("removed");
        assert!(matches!(run(), Err(Error::Cancelled { .. })));
        assert!(!begun.exists(), "it was run again");
    }

    #[test]
    fn a_failure_is_told_in_its_words() {
        let error = run("bad", "echo '{\"code\": 7, \"msg\": \"no\"}'; exit 1").expect_err("a failure");
        assert_eq!(error.to_string(), "the CNI plugin \"plugin\" failed at ADD: no");
        let none = Programs(Vec::new());
        let question = Question {
            plugin: "p",
            command: Command::Delete,
            request: Map::new(),
            variables: Vec::new(),
            cancellation: None,
        };
        assert!(matches!(none.run(question), Err(Error::NoPlugin { .. })));
    }
}
