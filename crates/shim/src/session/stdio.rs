//! Makes both ends of a process's stdio: the container's for the runtime, ours for the session.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use runtime::Stdio;
use shim_protocol::log::Stream;
use sys::seqpacket::set_nonblocking;
use sys::stream;

/// The requested size of every pipe, in bytes; the kernel's usual limit for the unprivileged.
pub(super) const PIPE_SIZE: usize = 1024 * 1024;

/// Which of a process's streams are pipes; the others are /dev/null.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// The shim's ends.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) outputs: Vec<(Stream, OwnedFd)>,
}

/// Makes pipes, or leaves it to the runtime to make a terminal.
pub(crate) fn make(terminal: bool, wanted: Wanted) -> io::Result<(Stdio, Ends)> {
    let mut ends = Ends::default();
    if terminal {
        return Ok((Stdio::Terminal, ends));
    }
    let stdin = if wanted.stdin {
        let (theirs, ours) = stream::pipe(PIPE_SIZE)?;
        set_nonblocking(&ours)?;
        ends.stdin = Some(ours);
        theirs
    } else {
        File::open("/dev/null")?.into()
    };
    let stdout = output(wanted.stdout, Stream::Stdout, &mut ends)?;
    let stderr = output(wanted.stderr, Stream::Stderr, &mut ends)?;
    Ok((Stdio::Streams { stdin, stdout, stderr }, ends))
}

fn output(wanted: bool, stream: Stream, ends: &mut Ends) -> io::Result<OwnedFd> {
    if !wanted {
        return Ok(File::options().write(true).open("/dev/null")?.into());
    }
    let (ours, theirs) = stream::pipe(PIPE_SIZE)?;
    set_nonblocking(&ours)?;
    ends.outputs.push((stream, ours));
    Ok(theirs)
}
