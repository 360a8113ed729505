//! Which endpoints bear some labels: one index, made when endpoints change, for all subsets of a service.

use std::collections::{BTreeMap, HashMap};

/// The endpoints `0..n` by each of their labels.
#[derive(Debug, Clone, Default)]
pub struct LabelIndex<'a> {
    count: usize,
    by_label: HashMap<(&'a str, &'a str), Vec<u32>>,
}

impl<'a> LabelIndex<'a> {
    /// Makes the index.
    pub fn new(
        endpoints: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
    ) -> LabelIndex<'a> {
        let mut index = LabelIndex::default();
        for (endpoint, labels) in (0..).zip(endpoints) {
            index.count += 1;
            for (key, value) in labels {
                index.by_label.entry((key, value)).or_default().push(endpoint);
            }
        }
        index
    }

    /// The endpoints that bear all of these labels, in rising order; all endpoints where no label is asked for.
    pub fn find(&self, labels: &BTreeMap<String, String>) -> Vec<usize> {
        let mut lists = Vec::with_capacity(labels.len());
        for (key, value) in labels {
            match self.by_label.get(&(key.as_str(), value.as_str())) {
                Some(list) => lists.push(list.as_slice()),
                None => return Vec::new(),
            }
        }
        // The rarest label leaves the fewest to be looked for in the other lists.
        lists.sort_by_key(|list| list.len());
        let Some((rarest, others)) = lists.split_first() else {
            return (0..self.count).collect();
        };
        let is_in_all =
            |endpoint: &&u32| others.iter().all(|list| list.binary_search(endpoint).is_ok());
        rarest.iter().filter(is_in_all).map(|endpoint| *endpoint as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn all_labels_must_be_borne() {
        let endpoints =
            ["version=v1,zone=a", "version=v2,zone=a", "version=v1,zone=b", "", "version=v1"];
        let endpoints = endpoints.map(labels);
        let index = LabelIndex::new(&endpoints);
        for (asked, found) in [
            ("version=v1", vec![0, 2, 4]),
            ("version=v1,zone=a", vec![0]),
            ("zone=a", vec![0, 1]),
            ("version=v3", vec![]),
            ("zone=v1", vec![]),
            ("version=v2,zone=b", vec![]),
            ("", vec![0, 1, 2, 3, 4]),
        ] {
            assert_eq!(index.find(&labels(asked)), found, "{asked}");
        }
        assert!(LabelIndex::new([]).find(&labels("")).is_empty());
    }
}
