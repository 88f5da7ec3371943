//! The decision about each call, by its number.

use std::collections::BTreeMap;

use super::numbers::{Architecture, LAST, NUMBERS, X32_OWN};
use super::{Action, Condition, Rules};

/// How many numbers x86-64 and i386 have.
pub(super) const COUNT: usize = LAST as usize + 1;

/// The decision about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// The first whose conditions all hold decides.
    pub(super) cases: Vec<(Vec<Condition>, Action)>,
    pub(super) otherwise: Action,
}

impl Decision {
    /// A decision regardless of the arguments.
    pub(super) const fn always(action: Action) -> Self {
        Self { cases: Vec::new(), otherwise: action }
    }
}

/// The decisions of one architecture. There are few different ones, so each call keeps an index.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    decisions: Vec<Decision>,
    of_number: Vec<usize>,
}

impl Calls {
    /// All calls alike.
    pub(super) fn all(count: usize, decision: Decision) -> Self {
        Self { decisions: vec![decision], of_number: vec![0; count] }
    }

    /// Decides about one call.
    pub(super) fn set(&mut self, number: usize, decision: &Decision) {
        let known = self.decisions.iter().position(|known| known == decision);
        let index = known.unwrap_or_else(|| {
            self.decisions.push(decision.clone());
            self.decisions.len() - 1
        });
        if let Some(slot) = self.of_number.get_mut(number) {
            *slot = index;
        }
    }

    /// Decides about all calls whose bit is set.
    pub(super) fn set_all(&mut self, calls: &Bits, decision: &Decision) {
        (0..self.of_number.len())
            .filter(|number| has(calls, *number))
            .for_each(|number| self.set(number, decision));
    }

    fn decision(&self, number: usize) -> &Decision {
        &self.decisions[self.of_number[number]]
    }

    /// The first numbers of runs of calls with one decision each. Beyond the last comes `beyond`.
    pub(super) fn ranges(&self, first: u32, beyond: &Decision) -> Vec<(u32, Decision)> {
        let mut ranges: Vec<(u32, Decision)> = Vec::new();
        let mut last = None;
        for (number, index) in (first..).zip(&self.of_number) {
            if last != Some(index) {
                ranges.push((number, self.decisions[*index].clone()));
                last = Some(index);
            }
        }
        let end = first + u32::try_from(self.of_number.len()).unwrap_or(u32::MAX - first);
        if ranges.last().is_none_or(|(_, decision)| decision != beyond) {
            ranges.push((end, beyond.clone()));
        }
        ranges
    }
}

/// One bit a number.
pub(super) type Bits = [u64; COUNT.div_ceil(64)];

const fn has(bits: &Bits, number: usize) -> bool {
    bits[number / 64] & 1 << (number % 64) != 0
}

/// The numbers of a list of names, separated by blanks; made when the program is compiled.
pub(super) const fn bits(names: &str, architecture: Architecture) -> Bits {
    let names = names.as_bytes();
    let mut bits = [0; COUNT.div_ceil(64)];
    let mut at = 0;
    while at < names.len() {
        let start = at;
        while at < names.len() && !names[at].is_ascii_whitespace() {
            at += 1;
        }
        if at > start {
            let number = find(names, start, at, architecture);
            if number >= 0 {
                bits[number as usize / 64] |= 1 << (number as usize % 64);
            }
        }
        at += 1;
    }
    bits
}

/// Finds a name in the sorted table; -1 where the architecture does not have it.
const fn find(names: &[u8], start: usize, end: usize, architecture: Architecture) -> i16 {
    let (mut low, mut high) = (0, NUMBERS.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        match compare(NUMBERS[middle].0.as_bytes(), names, start, end) {
            0 => {
                return match architecture {
                    Architecture::X86 => NUMBERS[middle].2,
                    Architecture::X86_64 | Architecture::X32 => NUMBERS[middle].1,
                };
            }
            order if order < 0 => low = middle + 1,
            _ => high = middle,
        }
    }
    -1
}

const fn compare(known: &[u8], names: &[u8], start: usize, end: usize) -> i32 {
    let mut at = 0;
    while at < known.len() && start + at < end {
        if known[at] != names[start + at] {
            return if known[at] < names[start + at] { -1 } else { 1 };
        }
        at += 1;
    }
    if known.len() == end - start {
        0
    } else if known.len() < end - start {
        -1
    } else {
        1
    }
}

/// The decisions that rules by name mean for an architecture.
pub(super) fn by_rules(rules: &Rules, architecture: Architecture) -> Calls {
    let default = Decision::always(rules.default);
    let mut calls = Calls::all(COUNT, default.clone());
    let mut conditional: BTreeMap<usize, Decision> = BTreeMap::new();
    let mut unconditional: BTreeMap<usize, Action> = BTreeMap::new();
    for rule in &rules.rules {
        for number in rule.names.iter().filter_map(|name| architecture.number(name)) {
            if rule.conditions.is_empty() {
                unconditional.entry(number).or_insert(rule.action);
            } else {
                let decision = conditional.entry(number).or_insert_with(|| default.clone());
                decision.cases.push((rule.conditions.clone(), rule.action));
            }
        }
    }
    for (number, decision) in conditional {
        calls.set(number, &decision);
    }
    // Without conditions a rule decides alone, whatever the other rules.
    for (number, action) in unconditional {
        calls.set(number, &Decision::always(action));
    }
    calls
}

/// The decisions about the calls that x32 has under numbers of its own: those of the same names.
pub(super) fn own_of_x32(native: &Calls) -> Calls {
    let mut own = Calls::all(X32_OWN.len(), native.decisions[0].clone());
    for (position, name) in X32_OWN.iter().enumerate() {
        if let Some(number) = Architecture::X86_64.number(name) {
            own.set(position, native.decision(number));
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_bits_when_compiled() {
        const SOME: Bits = bits("  read\nclone3 socketcall nosuch ", Architecture::X86_64);
        assert!(has(&SOME, 0) && has(&SOME, 435));
        assert_eq!(SOME.iter().map(|word| word.count_ones()).sum::<u32>(), 2);
        const OTHER: Bits = bits("socketcall", Architecture::X86);
        assert!(has(&OTHER, 102));
    }
}
