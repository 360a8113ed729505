//! "Did you mean": the known word that is nearest to an unknown one.

/// The longest word that can be a slip of a known one, in bytes.
const LONGEST: usize = 64;

/// The nearest of the words, if one is near enough to be a slip of the other. Case counts little.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes the product of the lengths; no known word is that long.
    if word.len() > LONGEST {
        return None;
    }
    let folded = word.to_lowercase();
    let most = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|it| (strsim::osa_distance(&folded, &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, it)| (*distance, strsim::osa_distance(word, it)))
        .map(|(_, it)| it)
}
