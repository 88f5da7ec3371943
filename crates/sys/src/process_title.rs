//! The arguments of the calling process as others see them, in `/proc/pid/cmdline` and in ps(1).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where the arguments of the calling process lie in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessTitle {
    start: u64,
    /// In bytes, with the zero behind each argument.
    length: usize,
}

impl ProcessTitle {
    /// Finds them: fields 48 and 49 of proc_pid_stat(5).
    ///
    /// # Errors
    /// When /proc cannot be read or hides them.
    pub fn find() -> io::Result<Self> {
        let fields = crate::process::fields_after_name(Path::new("/proc"), std::process::id())?;
        let mut fields = fields.split_whitespace().skip(45).map(str::parse::<u64>);
        let (Some(Ok(start)), Some(Ok(end))) = (fields.next(), fields.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let length = end.checked_sub(start).and_then(|length| usize::try_from(length).ok());
        match length.filter(|length| start > 0 && *length > 0) {
            Some(length) => Ok(Self { start, length }),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Replaces the arguments that other processes see. They use the space of those that the process was started with:
    /// what is longer is cut off. To be called when the process no longer reads its arguments. A forked process has its
    /// own at the same place as its parent, and needs no /proc for this.
    ///
    /// # Errors
    /// Those of `process_vm_writev(2)`: where the arguments are not writable memory any more.
    pub fn replace(self, arguments: &[&OsStr]) -> io::Result<()> {
        let mut text = Vec::with_capacity(self.length);
        for argument in arguments {
            text.extend_from_slice(argument.as_bytes());
            text.push(0);
        }
        text.resize(self.length, 0);
        // Anything else in the last byte makes the kernel read on in the environment.
        if let Some(last) = text.last_mut() {
            *last = 0;
        }
        let local = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
        let start = usize::try_from(self.start).map_err(|_| io::ErrorKind::InvalidData)?;
        let place = std::ptr::with_exposed_provenance_mut(start);
        let remote = libc::iovec { iov_base: place, iov_len: text.len() };
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: the kernel reads `text`, which lives, and writes where it put the arguments, or fails; the
        // process does not read these any more.
        let written = unsafe { libc::process_vm_writev(own, &raw const local, 1, &raw const remote, 1, 0) };
        match usize::try_from(written) {
            Ok(written) if written == text.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}
