//! Recognises the keys that end an attachment, over any number of packets.

/// A sequence of bytes to wait for. What turns out not to be the sequence is passed on, in order.
#[derive(Debug, Default)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// Waits for these bytes; none is never found.
    pub(crate) const fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Whether there is anything to wait for.
    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Puts what is ordinary input into `passed`; true when the sequence is complete.
    pub(crate) fn filter(&mut self, input: &[u8], passed: &mut Vec<u8>) -> bool {
        for byte in input {
            self.mismatch(*byte, passed);
            if self.keys.get(self.matched) != Some(byte) {
                passed.push(*byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return true;
            }
        }
        false
    }

    /// While `byte` does not go on with what was matched, gives up the oldest matched byte and keeps
    /// the longest rest that is a beginning of the sequence.
    fn mismatch(&mut self, byte: u8, passed: &mut Vec<u8>) {
        while self.matched > 0 && self.keys[self.matched] != byte {
            let held = &self.keys[..self.matched];
            let given_up = (1..=held.len())
                .find(|given_up| self.keys.starts_with(&held[*given_up..]))
                .unwrap_or(held.len());
            passed.extend_from_slice(&held[..given_up]);
            self.matched -= given_up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(keys: &[u8], packets: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut detach = DetachKeys::new(keys.to_vec());
        let mut passed = Vec::new();
        let done = packets.iter().any(|packet| detach.filter(packet, &mut passed));
        (passed, done)
    }

    #[test]
    fn found_over_packets_and_never_swallowed_otherwise() {
        let keys = [0x10, 0x11];
        assert_eq!(run(&keys, &[b"a\x10\x11b"]), (b"a".to_vec(), true));
        assert_eq!(run(&keys, &[b"a\x10", b"\x11"]), (b"a".to_vec(), true));
        assert_eq!(run(&keys, &[b"\x10x\x11"]), (b"\x10x\x11".to_vec(), false));
        assert_eq!(run(&keys, &[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(run(b"aab", &[b"a", b"a", b"a", b"b"]), (b"a".to_vec(), true));
        assert_eq!(run(b"abac", &[b"ababac"]), (b"ab".to_vec(), true));
        assert_eq!(run(b"", &[b"\x10\x11"]), (b"\x10\x11".to_vec(), false));
    }
}
