//! A quick hash for tables whose keys are our own: endpoint ids, label sets. Keys that a peer could choose freely stay with
//! the standard, keyed hash.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Quick`].
pub(crate) type BuildQuick = BuildHasherDefault<Quick>;

/// Multiplies and rotates each word in (Fibonacci hashing: the odd number nearest to 2^64 over the golden ratio).
#[derive(Debug, Default)]
pub(crate) struct Quick(u64);

impl Quick {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        // The table takes its bits from both ends.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.add(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.add(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.add(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.add(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn near_keys_are_spread_over_both_ends() {
        let build = BuildQuick::default();
        let hashes: Vec<u64> = (0..4096u64).map(|key| build.hash_one((1u8, key))).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xfff).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 2000, "{} of 4096 places", low.len());
        assert_eq!(high.len(), 128);
    }
}
