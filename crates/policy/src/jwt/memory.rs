//! Tokens that were verified, so that the next request with the same one costs a hash and not a signature.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::claims::Claims;

/// The longest token that is kept, bytes: what is kept of a token is a few times as large.
pub(super) const MAX_KEPT: usize = 4096;

/// A token's SHA-256. The tokens themselves are not kept: they would be of use to whoever reads the memory.
pub(super) type Fingerprint = [u8; 32];

/// Verified tokens, at most twice `limit`: those that were used since the last turn, and those of the turn before. What is in
/// neither is verified anew. What one [`super::Authentication`] has verified no other one knows: its keys may be withdrawn.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    young: HashMap<Key, Known>,
    old: HashMap<Key, Known>,
}

/// Which configuration verified which token.
pub(super) type Key = (u64, Fingerprint);

/// A token that a rule has verified. Its times are to be looked at again.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The rule, by its place.
    pub(super) rule: usize,
    pub(super) claims: Arc<Claims>,
}

impl Memory {
    /// Room for so many tokens in each of two turns.
    pub fn new(limit: usize) -> Memory {
        Memory { limit, young: HashMap::new(), old: HashMap::new() }
    }

    /// How many tokens are held.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn find(&mut self, token: &Key) -> Option<&Known> {
        if !self.young.contains_key(token) {
            let known = self.old.remove(token)?;
            self.keep(*token, known);
        }
        self.young.get(token)
    }

    pub(super) fn keep(&mut self, token: Key, known: Known) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, known);
    }

    pub(super) fn forget(&mut self, token: &Key) {
        self.young.remove(token);
        self.old.remove(token);
    }
}

/// A token's fingerprint.
pub(super) fn fingerprint(token: &[u8]) -> Fingerprint {
    let digest = digest(&SHA256, token);
    let mut fingerprint = Fingerprint::default();
    // Both are of 32 bytes.
    fingerprint.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    fingerprint
}
