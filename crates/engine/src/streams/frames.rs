//! Parses what an attached client receives of a process without a terminal: frames with headers of eight bytes, as the
//! specification's "stream details" has them.

use shim_protocol::log::Stream;

/// Takes a stream apart, wherever it is cut.
#[derive(Debug, Default)]
pub struct Frames {
    pending: Vec<u8>,
}

impl Frames {
    /// Takes more of the stream and passes on the frames that are complete now.
    pub fn push(&mut self, part: &[u8], output: &mut dyn FnMut(Stream, &[u8])) {
        self.pending.extend_from_slice(part);
        let mut start = 0;
        while let Some(head) = self.pending.get(start..start + 8) {
            let stream = if head[0] == Stream::Stderr.frame_type() { Stream::Stderr } else { Stream::Stdout };
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let Some(payload) = self.pending.get(start + 8..start + 8 + length) else { break };
            output(stream, payload);
            start += 8 + length;
        }
        self.pending.drain(..start);
    }

    /// Whether the stream, should it end here, ends within a frame's payload.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.pending.len() >= 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_apart_wherever_they_are_cut() {
        let bytes = [&[1, 0, 0, 0, 0, 0, 0, 2][..], b"hi", &[2, 0, 0, 0, 0, 0, 0, 1], b"!"].concat();
        for cut in 0..bytes.len() {
            let (mut frames, mut out) = (Frames::default(), Vec::new());
            let mut output = |stream, text: &[u8]| out.push((stream, text.to_vec()));
            frames.push(&bytes[..cut], &mut output);
            assert_eq!(frames.is_cut(), [8, 9, 18].contains(&cut), "{cut}");
            frames.push(&bytes[cut..], &mut output);
            assert_eq!(out, [(Stream::Stdout, b"hi".to_vec()), (Stream::Stderr, b"!".to_vec())]);
            assert!(!frames.is_cut());
        }
    }
}
