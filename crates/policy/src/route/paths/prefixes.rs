//! All prefixes of a path among many, by one binary search and a walk from the longest to the shortest.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{List, NONE};

/// Prefixes in the order of their bytes. Every prefix of a path that is among them is the greatest text that is
/// not greater than the path, or one of its ancestors. All texts lie in one piece of memory and all lists in
/// another, because a table is cold when a request comes and each piece is waited for.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    nodes: Box<[Node]>,
    texts: Box<[u8]>,
    entries: Box<[u32]>,
}

#[derive(Debug)]
struct Node {
    text: Range<u32>,
    /// The longest other prefix that this one begins with.
    parent: u32,
    /// Where each list begins, and the last one ends.
    lists: [u32; 4],
    first_regex: u32,
}

/// The entries at one text.
#[derive(Debug)]
pub(crate) struct Lists<L> {
    /// Entries for the path that is so; of what is shown, empty where the path is not.
    pub(crate) exact: L,
    /// Entries for paths that begin so.
    pub(crate) letters: L,
    /// Entries for paths that begin so and have their segment's end there; of what is shown, empty where the path
    /// has not.
    pub(crate) segments: L,
    /// The least entry of the expressions whose matches begin so.
    pub(crate) first_regex: u32,
}

impl Lists<&[u32]> {
    pub(crate) fn each(&self, mut show: impl FnMut(&[u32])) {
        for list in [self.exact, self.letters, self.segments] {
            if !list.is_empty() {
                show(list);
            }
        }
    }
}

impl Prefixes {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Shows the lists of all prefixes of the path, longest first.
    pub(crate) fn each(&self, path: &[u8], mut show: impl FnMut(Lists<&[u32]>)) {
        let after = self.nodes.partition_point(|node| self.text(node) <= path);
        let mut next = after.checked_sub(1);
        while let Some(node) = next.map(|index| &self.nodes[index]) {
            next = (node.parent != NONE).then_some(node.parent as usize);
            let Some(rest) = path.strip_prefix(self.text(node)) else {
                continue;
            };
            let list = |number: usize, counts: bool| match counts {
                true => &self.entries[node.lists[number] as usize..node.lists[number + 1] as usize],
                false => &[],
            };
            show(Lists {
                exact: list(0, rest.is_empty()),
                letters: list(1, true),
                segments: list(2, matches!(rest.first(), None | Some(b'/'))),
                first_regex: node.first_regex,
            });
        }
    }

    fn text(&self, node: &Node) -> &[u8] {
        &self.texts[node.text.start as usize..node.text.end as usize]
    }
}

/// Prefixes that are being gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered(BTreeMap<Vec<u8>, Lists<List>>);

impl Gathered {
    /// The lists at a text.
    pub(crate) fn at(&mut self, text: Vec<u8>) -> &mut Lists<List> {
        self.0.entry(text).or_insert_with(|| Lists {
            exact: List::new(),
            letters: List::new(),
            segments: List::new(),
            first_regex: NONE,
        })
    }

    pub(crate) fn build(self) -> Prefixes {
        let (mut texts, mut entries) = (Vec::new(), Vec::new());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.0.len());
        // The prefixes that the last one begins with, and itself: in the order of bytes, a prefix's ancestors are
        // among them.
        let mut open: Vec<u32> = Vec::new();
        for (text, lists) in self.0 {
            let is_ancestor = |index: u32| {
                let Range { start, end } = nodes[index as usize].text;
                text.starts_with(&texts[start as usize..end as usize])
            };
            while open.last().is_some_and(|index| !is_ancestor(*index)) {
                open.pop();
            }
            let parent = open.last().copied().unwrap_or(NONE);
            open.push(nodes.len() as u32);
            let start = texts.len() as u32;
            texts.extend_from_slice(&text);
            let mut bounds = [entries.len() as u32; 4];
            for (bound, list) in
                bounds[1..].iter_mut().zip([lists.exact, lists.letters, lists.segments])
            {
                entries.extend(list);
                *bound = entries.len() as u32;
            }
            let text = start..texts.len() as u32;
            nodes.push(Node { text, parent, lists: bounds, first_regex: lists.first_regex });
        }
        Prefixes { nodes: nodes.into(), texts: texts.into(), entries: entries.into() }
    }
}
