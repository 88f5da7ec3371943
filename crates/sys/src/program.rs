//! Starts a program with descriptors passed to it, from a memory file that cannot be written to.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::executable;

/// Programs are kept above the numbers that children are given descriptors as.
const FIRST_NUMBER: i32 = 16;

/// The file of a program, open.
#[derive(Debug)]
pub struct ProgramFile {
    file: File,
    /// The bytes from its beginning on that the kernel reads to start it.
    length: u64,
}

impl ProgramFile {
    /// Opens a program's file.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = executable::loaded_length(&file)?;
        Ok(Self { file, length })
    }

    /// Copies the program into memory and seals it, without the symbols behind what is loaded.
    ///
    /// # Errors
    /// When the file cannot be read or the kernel has no sealed memory files.
    pub fn seal(&self) -> io::Result<SealedProgram> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create("berth-shim", flags)?;
        let mut target = File::from(memory);
        let mut source = &self.file;
        source.rewind()?;
        if io::copy(&mut source.take(self.length), &mut target)? < self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Its number must not be one that a child is given something as.
        let memory = rustix::io::fcntl_dupfd_cloexec(&target, FIRST_NUMBER)?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&memory, seals)?;
        Ok(SealedProgram(memory))
    }
}

/// A program kept in a sealed memory file: its process can never change it, not even through
/// `/proc/self/exe`.
#[derive(Debug)]
pub struct SealedProgram(OwnedFd);

impl SealedProgram {
    /// Starts the program with `arguments` (the first is its own name), an empty environment,
    /// and `given` as descriptors from number `first` on; other descriptors it gets are those not marked
    /// close-on-exec. Returns its process number; the caller must reap it.
    ///
    /// # Errors
    /// When the kernel refuses to start it.
    pub fn spawn(&self, arguments: &[&OsStr], given: &[BorrowedFd<'_>], first: i32) -> io::Result<u32> {
        let path = CString::new(format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd()))?;
        let arguments: Vec<CString> =
            arguments.iter().map(|argument| CString::new(argument.as_bytes())).collect::<Result<_, _>>()?;
        let mut pointers: Vec<*mut libc::c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        pointers.push(std::ptr::null_mut());
        let environment = [std::ptr::null_mut()];
        let behind = first + i32::try_from(given.len()).map_err(io::Error::other)?;
        // Out of each other's way: what is put at one number must not be needed from there afterwards.
        let given: Vec<OwnedFd> = given
            .iter()
            .map(|given| rustix::io::fcntl_dupfd_cloexec(given, behind))
            .collect::<Result<_, _>>()?;
        let actions = FileActions::duplicate(&given, first)?;
        let mut pid = 0;
        // SAFETY: path, the arguments' strings and the null-ended arrays outlive the call; the file
        // actions are initialised; null attributes mean the defaults.
        let result = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                &raw const actions.0,
                std::ptr::null(),
                pointers.as_ptr(),
                environment.as_ptr(),
            )
        };
        match result {
            0 => u32::try_from(pid).map_err(io::Error::other),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The actions of posix_spawn(3) on descriptors before it executes.
struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn duplicate(given: &[OwnedFd], first: i32) -> io::Result<Self> {
        let mut actions = std::mem::MaybeUninit::uninit();
        // SAFETY: the pointer is valid for a write; the call initialises it.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: the call above succeeded.
        let mut actions = Self(unsafe { actions.assume_init() });
        for (number, given) in (first..).zip(given) {
            // SAFETY: the actions are initialised and the descriptor is open.
            check(unsafe {
                libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, given.as_raw_fd(), number)
            })?;
        }
        Ok(actions)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `duplicate` and not used after.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// Waits for a child that has ended or is about to; does nothing for a process that is no child.
pub fn reap(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
    while let Err(rustix::io::Errno::INTR) =
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
    {}
}
