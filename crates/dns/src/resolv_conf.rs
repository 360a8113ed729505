//! The machine's own resolvers and search domains, as `/etc/resolv.conf` names them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// As many as the C library asks.
const MAX_NAMESERVERS: usize = 3;
/// More than the C library's limit before 2.26 (6), and enough against absurd files.
const MAX_SEARCH: usize = 32;

/// What a `resolv.conf` says, as far as forwarding needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    /// The resolvers, in order. Besides bare addresses `ADDRESS:PORT` is read. Link-local addresses with an interface
    /// (`fe80::1%eth0`) are passed over.
    pub nameservers: Vec<SocketAddr>,
    /// The domains that this machine's programs append to names: lower case, without trailing dots.
    pub search: Vec<String>,
}

impl ResolvConf {
    /// Reads the text of the file; lines that are not understood are passed over, as the C library does.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.nameservers.extend(words.next().and_then(nameserver)),
                // The last of these lines counts.
                Some("search") => conf.search = words.filter_map(domain).take(MAX_SEARCH).collect(),
                Some("domain") => conf.search = words.take(1).filter_map(domain).collect(),
                _ => {}
            }
        }
        conf.nameservers.truncate(MAX_NAMESERVERS);
        conf
    }

    /// What holds where there is no file or no `nameserver` line: a resolver on this machine (resolv.conf(5)).
    fn or_default(mut self) -> ResolvConf {
        if self.nameservers.is_empty() {
            self.nameservers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        self
    }
}

fn nameserver(word: &str) -> Option<SocketAddr> {
    let bare = word.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    bare.or_else(|_| word.parse()).ok()
}

fn domain(word: &str) -> Option<String> {
    let domain = word.trim_matches('.').to_ascii_lowercase();
    (!domain.is_empty()).then_some(domain)
}

/// The file, read again when it has changed.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    conf: Arc<ResolvConf>,
    stamp: Option<Stamp>,
    checked: Instant,
}

/// What changes when the file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Watched {
    /// `interval` is the time during which a reading is good without looking at the file.
    pub(crate) fn new(path: PathBuf, interval: Duration) -> Self {
        let stamp = stamp(&path);
        let conf = Arc::new(read(&path));
        Watched {
            path,
            interval,
            state: Mutex::new(State { conf, stamp, checked: Instant::now() }),
        }
    }

    /// What the file says now. Looks at a file of a few lines at most once in an interval, so it is done in place
    /// rather than on another thread.
    pub(crate) fn current(&self) -> Arc<ResolvConf> {
        let mut state = self.state.lock();
        if state.checked.elapsed() >= self.interval {
            state.checked = Instant::now();
            // The stamp is taken before the text: a change between the two is seen the next time.
            let stamp = stamp(&self.path);
            if stamp != state.stamp {
                state.conf = Arc::new(read(&self.path));
                state.stamp = stamp;
                tracing::info!(path = %self.path.display(), resolvers = ?state.conf.nameservers, "resolvers changed");
            }
        }
        state.conf.clone()
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

fn stamp(path: &std::path::Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: meta.modified().ok(), length: meta.len(), inode: meta.ino() })
}

fn read(path: &std::path::Path) -> ResolvConf {
    match std::fs::read(path) {
        Ok(bytes) => ResolvConf::parse(&String::from_utf8_lossy(&bytes)).or_default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the list of resolvers; a resolver on 127.0.0.1 is assumed");
            ResolvConf::default().or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_the_c_library_reads_it() {
        let text = "# by hand\n; also a comment\nnameserver 10.0.0.2\nnameserver ::1\nnameserver nonsense\n\
                    nameserver 127.0.0.1:5300\nnameserver 10.0.0.9\ndomain old.example\n\
                    search Corp.Example. svc.example\noptions ndots:5\n\tnameserver 10.1.1.1\n";
        let conf = ResolvConf::parse(text);
        let expected: Vec<SocketAddr> =
            ["10.0.0.2:53", "[::1]:53", "127.0.0.1:5300"].map(|text| text.parse().unwrap()).into();
        assert_eq!(conf.nameservers, expected);
        assert_eq!(conf.search, ["corp.example", "svc.example"]);
        assert_eq!(ResolvConf::parse("search a\ndomain b c").search, ["b"]);
        assert_eq!(ResolvConf::parse("search a\nsearch .").search, [""; 0]);
    }

    #[test]
    fn without_a_resolver_the_local_one_is_asked() {
        let local: SocketAddr = "127.0.0.1:53".parse().unwrap();
        let watched = Watched::new("/nonexistent/resolv.conf".into(), Duration::ZERO);
        assert_eq!(watched.current().nameservers, [local]);
        assert_eq!(ResolvConf::parse("search x").or_default().nameservers, [local]);
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 10.0.0.1\n").unwrap();
        let watched = Watched::new(path.clone(), Duration::ZERO);
        assert_eq!(watched.current().nameservers, ["10.0.0.1:53".parse().unwrap()]);

        std::fs::write(&path, "nameserver 10.0.0.20\nsearch corp.example\n").unwrap();
        assert_eq!(watched.current().nameservers, ["10.0.0.20:53".parse().unwrap()]);
        assert_eq!(watched.current().search, ["corp.example"]);

        // Replaced by a rename with the same length, as network managers do it.
        let next = dir.path().join("next");
        std::fs::write(&next, "nameserver 10.0.0.30\nsearch corp.example\n").unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert_eq!(watched.current().nameservers, ["10.0.0.30:53".parse().unwrap()]);
    }

    #[test]
    fn within_the_interval_the_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 10.0.0.1\n").unwrap();
        let watched = Watched::new(path.clone(), Duration::from_secs(3600));
        std::fs::write(&path, "nameserver 10.0.0.20\n").unwrap();
        assert_eq!(watched.current().nameservers, ["10.0.0.1:53".parse().unwrap()]);
    }
}
