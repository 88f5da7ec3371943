//! The layers of copied files that lend the next copies what has not changed since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use images::HashedPrefixes;
use model::Digest;

use crate::tree::Marks;

/// The number of recorded layers; the one used longest ago is dropped.
const LAYERS_LIMIT: usize = 8;
/// The names in them together: some ten megabytes.
const NAMES_LIMIT: usize = 100_000;

/// The layers that lend files.
#[derive(Debug, Default)]
pub(super) struct LendingLayers(Mutex<Vec<Lender>>);

#[derive(Debug)]
struct Lender {
    /// The copy.
    copy: String,
    earlier: Earlier,
}

/// The layer of an earlier copy.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    pub(super) layer: Digest,
    /// Its content.
    pub(super) marks: Arc<Marks>,
    /// How the hash of its tar came about.
    pub(super) prefixes: Arc<HashedPrefixes>,
    /// How that of the last one came about which borrowed from it: what had changed then is mostly as it was then.
    pub(super) latest: Option<Arc<HashedPrefixes>>,
}

impl Earlier {
    /// How the hashes of tars came about that the next one may begin like.
    pub(super) fn all_prefixes(&self) -> Vec<&HashedPrefixes> {
        self.latest.iter().chain([&self.prefixes]).map(AsRef::as_ref).collect()
    }
}

impl LendingLayers {
    fn lock(&self) -> MutexGuard<'_, Vec<Lender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer of an earlier copy; from now on it is the one used last.
    pub(super) fn find(&self, copy: &str) -> Option<Earlier> {
        let mut lenders = self.lock();
        let index = lenders.iter().position(|lender| lender.copy == copy)?;
        let lender = lenders.remove(index);
        let found = lender.earlier.clone();
        lenders.push(lender);
        Some(found)
    }

    /// Notes how the hash of a layer's tar came about that has borrowed from the layer of an earlier copy.
    pub(super) fn note_borrower(&self, copy: &str, lender: &Digest, prefixes: HashedPrefixes) {
        let mut lenders = self.lock();
        let lender = lenders.iter_mut().find(|known| known.copy == copy && known.earlier.layer == *lender);
        if let Some(lender) = lender {
            lender.earlier.latest = Some(Arc::new(prefixes));
        }
    }

    pub(super) fn remember(&self, copy: String, earlier: Earlier) {
        let mut lenders = self.lock();
        lenders.retain(|lender| lender.copy != copy);
        lenders.push(Lender { copy, earlier });
        let names =
            |lenders: &[Lender]| lenders.iter().map(|lender| lender.earlier.marks.len()).sum::<usize>();
        while lenders.len() > LAYERS_LIMIT || names(&lenders) > NAMES_LIMIT {
            lenders.remove(0);
        }
    }
}
