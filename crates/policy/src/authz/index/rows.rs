//! Sets of rows, a bit for each.

/// Rows in one word.
const WORD: usize = u64::BITS as usize;

/// Some rows out of all, in the shorter of two forms.
#[derive(Debug)]
pub(super) enum Rows {
    /// The number of each.
    Few(Box<[u32]>),
    /// A bit for each of all.
    Many(Box<[u64]>),
}

impl Rows {
    /// These rows, of so many words in all.
    pub(super) fn of(rows: Vec<u32>, words: usize) -> Rows {
        match rows.len() < 2 * words {
            true => Rows::Few(rows.into()),
            false => Rows::Many(bits(&rows, words)),
        }
    }

    /// Sets their bits.
    pub(super) fn add_to(&self, bits: &mut [u64]) {
        match self {
            Rows::Few(rows) => rows.iter().for_each(|row| set(bits, *row)),
            Rows::Many(own) => bits.iter_mut().zip(own).for_each(|(to, from)| *to |= from),
        }
    }
}

/// The words that so many rows take.
pub(super) fn words_of(rows: usize) -> usize {
    rows.div_ceil(WORD)
}

/// So many words in which these rows are set.
pub(super) fn bits(rows: &[u32], words: usize) -> Box<[u64]> {
    let mut bits = vec![0; words];
    rows.iter().for_each(|row| set(&mut bits, *row));
    bits.into()
}

fn set(bits: &mut [u64], row: u32) {
    if let Some(word) = bits.get_mut(row as usize / WORD) {
        *word |= 1 << (row as usize % WORD);
    }
}

/// The rows of which no bit is set, ascending.
pub(super) fn unset(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().filter(|(_, word)| **word != u64::MAX).flat_map(|(at, word)| {
        let mut left = !word;
        std::iter::from_fn(move || {
            let row = (left != 0).then(|| at * WORD + left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(row)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_set_the_same_rows() {
        let (words, rows) = (words_of(130), vec![0, 63, 64, 129]);
        let mut found = vec![0; words];
        Rows::of(rows.clone(), words).add_to(&mut found);
        let many: Vec<u32> = (1..100).collect();
        let mut of_many = vec![0; words];
        let form = Rows::of(many.clone(), words);
        assert!(matches!(form, Rows::Many(_)));
        form.add_to(&mut of_many);
        assert_eq!((words, &*found), (3, &*bits(&rows, words)));
        assert_eq!(of_many, *bits(&many, words));
        let others: Vec<usize> = unset(&found).collect();
        assert_eq!(others, (0..192).filter(|it| !rows.contains(&(*it as u32))).collect::<Vec<_>>());
    }
}
