//! The newest lines of a quiet build's output, in case it fails.

use std::collections::VecDeque;

/// Bytes that are kept: a build may write without end.
const LIMIT: usize = 1 << 20;

/// The newest lines of a build.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    lines: VecDeque<Vec<u8>>,
    size: usize,
}

impl Withheld {
    /// Keeps a line, and drops the oldest ones beyond the limit.
    pub(super) fn keep(&mut self, line: Vec<u8>) {
        self.size += line.len();
        self.lines.push_back(line);
        while self.size > LIMIT {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.size -= oldest.len();
        }
    }

    /// Gives the lines out, the oldest first.
    pub(super) fn take(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(self).lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let mut withheld = Withheld::default();
        for number in 0..4_u8 {
            withheld.keep(vec![number; LIMIT / 3]);
        }
        let firsts: Vec<u8> = withheld.take().iter().map(|line| line[0]).collect();
        assert_eq!(firsts, [1, 2, 3]);
        assert!(withheld.take().is_empty());
        withheld.keep(vec![7; LIMIT + 1]);
        assert!(withheld.take().is_empty(), "no line is longer than the limit");
    }
}
