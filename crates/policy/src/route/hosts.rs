//! What belongs to hosts, found by the host that is asked: by hash, never by a scan.

use std::collections::HashMap;

/// Names longer than this are none (RFC 1035); no end of them is looked up.
const LONGEST_NAME: usize = 255;

/// Things by host: a full name counts before `*.` and the end of one, the longest end first, before `*` (Envoy's
/// order of domains).
#[derive(Debug, Clone)]
pub struct Hosts<T> {
    exact: HashMap<Box<str>, T>,
    /// By end, with its first dot.
    ends: HashMap<Box<str>, T>,
    /// How many dots the ends have, most first: only these are looked up.
    dots: Vec<usize>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Hosts { exact: HashMap::new(), ends: HashMap::new(), dots: Vec::new(), any: None }
    }
}

impl<T> Hosts<T> {
    /// Puts a thing to a full name, `*.` and the end of one, or `*`; gives back what was there.
    pub fn insert(&mut self, host: &str, value: T) -> Option<T> {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('*') {
            None => self.exact.insert(host.into(), value),
            Some("") => self.any.replace(value),
            Some(end) => {
                let dots = count_dots(end);
                if let Err(place) = self.dots.binary_search_by(|it| dots.cmp(it)) {
                    self.dots.insert(place, dots);
                }
                self.ends.insert(end.into(), value)
            }
        }
    }

    /// What the host that was put in so has, and nothing that covers it.
    pub fn find_exact(&self, host: &str) -> Option<&T> {
        match host.strip_prefix('*') {
            None => self.exact.get(host),
            Some("") => self.any.as_ref(),
            Some(end) => self.ends.get(end),
        }
    }

    /// What belongs to a host, which is a name without port (see [`host_of`](super::host_of)); case does not count.
    pub fn find(&self, host: &str) -> Option<&T> {
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_lower(host);
        }
        self.find_lower(&host.to_ascii_lowercase())
    }

    fn find_lower(&self, host: &str) -> Option<&T> {
        if let Some(found) = self.exact.get(host) {
            return Some(found);
        }
        self.find_end(host).or(self.any.as_ref())
    }

    fn find_end(&self, host: &str) -> Option<&T> {
        if self.dots.is_empty() || host.len() > LONGEST_NAME {
            return None;
        }
        let all = count_dots(host);
        // The end that has `dots` of the name's `all` dots starts at dot number `all - dots`.
        let mut passed = host.match_indices('.').enumerate();
        for dots in self.dots.iter().filter(|dots| **dots <= all) {
            let (_, (start, _)) = passed.by_ref().find(|(number, _)| *number == all - dots)?;
            if start > 0
                && let Some(found) = self.ends.get(&host[start..])
            {
                return Some(found);
            }
        }
        None
    }

    /// All of them, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.ends.values()).chain(&self.any)
    }
}

fn count_dots(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'.').count()
}
