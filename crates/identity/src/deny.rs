//! Certificates that are refused before their time is over: stolen ones, and those of workloads that are no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meltemi_names::SpiffeId;

use crate::private_file::{self, FileError};
use crate::tls::Leaf;

/// Which certificates are refused, by serial number or by whose they are. Short lives are the first defence; this is for the
/// time until they are over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    /// As [`serial`] writes them.
    serials: BTreeSet<String>,
    /// All certificates of an id that begin before this time.
    ids: BTreeMap<SpiffeId, SystemTime>,
}

impl DenyList {
    /// Refuses the certificate of this serial number: hex digits, in either case, with or without colons. Says whether it is
    /// one.
    pub fn deny_serial(&mut self, text: &str) -> bool {
        let Some(serial) = normal(text) else { return false };
        self.serials.insert(serial);
        true
    }

    /// Refuses the certificates of `id` that begin before this time, so that a new one is good again.
    pub fn deny_id(&mut self, id: SpiffeId, before: SystemTime) {
        let latest = self.ids.entry(id).or_insert(before);
        *latest = (*latest).max(before);
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty() && self.ids.is_empty()
    }

    /// The serial numbers, in hex.
    pub fn serials(&self) -> impl Iterator<Item = &str> {
        self.serials.iter().map(String::as_str)
    }

    /// The ids, each with the time before which its certificates are refused.
    pub fn ids(&self) -> impl Iterator<Item = (&SpiffeId, SystemTime)> {
        self.ids.iter().map(|(id, before)| (id, *before))
    }

    /// Writes the list as text, a line for each, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let serials = self.serials.iter().map(|serial| format!("serial {serial}\n"));
        let ids = self.ids.iter().map(|(id, before)| {
            let seconds = before.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            format!("before {seconds} {id}\n")
        });
        private_file::write_public(path, serials.chain(ids).collect::<String>().as_bytes())
    }

    /// Reads what [`DenyList::save`] has written; a file that is not there is an empty list.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it is of another form: it may say of whom to beware.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = match private_file::read(path) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut list = Self::default();
        for line in text.lines() {
            if !list.take_line(line) {
                let source = io::Error::new(io::ErrorKind::InvalidData, format!("line {line:?}"));
                return Err(FileError::Read { path: path.into(), source });
            }
        }
        Ok(list)
    }

    fn take_line(&mut self, line: &str) -> bool {
        if let Some(serial) = line.strip_prefix("serial ") {
            return self.deny_serial(serial);
        }
        let id = line.strip_prefix("before ").and_then(|rest| rest.split_once(' '));
        let Some((seconds, id)) = id else { return false };
        match (seconds.parse().map(Duration::from_secs), id.parse()) {
            (Ok(seconds), Ok(id)) => {
                self.deny_id(id, UNIX_EPOCH + seconds);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn refuses(&self, leaf: &Leaf) -> bool {
        if self.is_empty() {
            return false;
        }
        self.ids.get(&leaf.id).is_some_and(|before| leaf.not_before < *before)
            || self.serials.contains(&serial(&leaf.serial))
    }
}

/// A serial number in hex, without leading zeros: encodings differ in them.
pub(crate) fn serial(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.trim_start_matches('0').to_owned()
}

fn normal(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|it| *it != ':').collect();
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let serial = digits.trim_start_matches('0').to_ascii_lowercase();
    // RFC 5280, 4.1.2.2: at most 20 octets, and a positive number.
    (is_hex && !serial.is_empty() && serial.len() <= 40).then_some(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(id: &str, serial: &[u8], not_before: SystemTime) -> Leaf {
        let id = id.parse().unwrap();
        Leaf { id, serial: serial.into(), not_before, not_after: not_before }
    }

    #[test]
    fn a_serial_is_found_however_it_is_written() {
        let now = SystemTime::UNIX_EPOCH;
        let web = "spiffe://cluster.local/ns/default/sa/web";
        for text in ["00ab0c", "AB:0C", "ab0c"] {
            let mut list = DenyList::default();
            assert!(list.deny_serial(text));
            assert!(list.refuses(&leaf(web, &[0xab, 0x0c], now)), "{text}");
            assert!(list.refuses(&leaf(web, &[0, 0xab, 0x0c], now)), "{text}");
            assert!(!list.refuses(&leaf(web, &[0xab], now)), "{text}");
        }
        for text in ["", "0", "xyz", "12 34", &"f".repeat(41)] {
            assert!(!DenyList::default().deny_serial(text), "{text}");
        }
    }

    #[test]
    fn a_list_that_was_kept_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("denied");
        assert!(DenyList::load(&path).unwrap().is_empty());
        let mut list = DenyList::default();
        list.deny_serial("ab0c");
        let id = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
        list.deny_id(id, UNIX_EPOCH + Duration::from_secs(77));
        list.save(&path).unwrap();
        assert_eq!(DenyList::load(&path).unwrap(), list);
        for wrong in ["serial ", "before x spiffe://a/ns/b/sa/c", "other", "before 1 web"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(DenyList::load(&path).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_certificate_made_afterwards_is_good() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let (web, other) =
            ("spiffe://cluster.local/ns/default/sa/web", "spiffe://cluster.local/ns/default/sa/a");
        let mut list = DenyList::default();
        list.deny_id(web.parse().unwrap(), then);
        list.deny_id(web.parse().unwrap(), then - Duration::from_secs(10));
        assert!(list.refuses(&leaf(web, &[1], then - Duration::from_secs(1))));
        assert!(!list.refuses(&leaf(web, &[1], then)));
        assert!(!list.refuses(&leaf(other, &[1], SystemTime::UNIX_EPOCH)));
    }
}
