//! What the peer of a socket has not read yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Whether the peer of a unix socket has read all that was written to it; `SIOCOUTQ` counts what waits (unix(7)).
///
/// # Errors
/// Those of `ioctl(2)`.
pub fn is_all_read(socket: impl AsFd) -> io::Result<bool> {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the request writes one integer, which lives as long as the call.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(waiting == 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_waits_is_seen_until_it_is_read() {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        assert!(is_all_read(&ours).expect("an answer"));
        ours.write_all(b"head").expect("room");
        assert!(!is_all_read(&ours).expect("an answer"));
        theirs.read_exact(&mut [0; 3]).expect("a part");
        assert!(!is_all_read(&ours).expect("an answer"), "a byte waits");
        theirs.read_exact(&mut [0; 1]).expect("the rest");
        assert!(is_all_read(&ours).expect("an answer"));
        ours.write_all(b"head").expect("room");
        drop(theirs);
        assert!(is_all_read(&ours).expect("an answer"), "nobody is left to read it");
    }
}
