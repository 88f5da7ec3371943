//! Makes lines of what a process writes.

use shim_protocol::log::{MAXIMUM_PAYLOAD, Stream, split_lines};

/// The begun lines of both streams.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Lines {
    /// The received part of a line.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    /// Passes each line of the output, or part of a long one, to `each`; keeps an unfinished line.
    pub(crate) fn take(&mut self, stream: Stream, output: &[u8], mut each: impl FnMut(&[u8])) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut rest = output;
        while !pending.is_empty() && !rest.is_empty() {
            let room = (MAXIMUM_PAYLOAD - pending.len()).min(rest.len());
            let window = &rest[..room];
            let taken = memchr::memchr(b'\n', window).map_or(room, |newline| newline + 1);
            pending.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            let used = split_lines(pending, &mut each);
            pending.drain(..used);
        }
        let used = split_lines(rest, &mut each);
        pending.extend_from_slice(&rest[used..]);
    }

    /// Gives up the begun lines: nothing more comes.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Stream, &[u8])) {
        for (stream, pending) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if !pending.is_empty() {
                each(stream, pending);
            }
            *pending = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.take(Stream::Stdout, piece, |line| out.push(line.to_vec()));
        }
        (out, lines.pending(Stream::Stdout).to_vec())
    }

    #[test]
    fn lines_are_joined_over_reads() {
        let (out, pending) = lines(&[b"a", b"b\nc\nd", b"", b"e", b"\n\nf"]);
        assert_eq!(out, [&b"ab\n"[..], b"c\n", b"de\n", b"\n"]);
        assert_eq!(pending, b"f");
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_the_same_size_however_it_is_read() {
        let text = vec![b'x'; 3 * MAXIMUM_PAYLOAD + 5];
        for size in [1, 1000, MAXIMUM_PAYLOAD, 65_536] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            let (out, pending) = lines(&pieces);
            assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), [MAXIMUM_PAYLOAD; 3], "{size}");
            assert_eq!(pending.len(), 5);
        }
    }

    #[test]
    fn a_begun_line_is_given_up_at_the_end() {
        let mut lines = Lines::default();
        lines.take(Stream::Stderr, b"no newline", |_| panic!("no line yet"));
        let mut out = Vec::new();
        lines.finish(|stream, line| out.push((stream, line.to_vec())));
        assert_eq!(out, [(Stream::Stderr, b"no newline".to_vec())]);
    }
}
