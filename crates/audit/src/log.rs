//! The file that events are appended to.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use thiserror::Error;

use crate::event::Event;
use crate::timestamp;

/// A file that has reached this size, in bytes, is set aside under a name with the time, and a new one begun.
const ROTATE_AT: u64 = 64 << 20;

/// Why there is no audit log.
#[derive(Debug, Error)]
#[error(
    "the audit log {path} cannot be written: {source}; free the place, or name another with --audit-log, or `off`"
)]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// Where events go: a file of lines, or nowhere.
#[derive(Clone, Default)]
pub struct AuditLog(Option<Arc<Mutex<Lines>>>);

struct Lines {
    path: PathBuf,
    file: File,
    /// Bytes so far.
    length: u64,
    rotate_at: u64,
    strangers: Strangers,
}

/// So many lines about callers who have not shown who they are may come at once; then one a second. Else whoever reaches the port
/// fills the disk.
const STRANGERS: u64 = 20;
/// The longest path and reason of such a caller that are kept, bytes.
const CLIPPED: usize = 256;

/// What may be written of such callers.
#[derive(Debug, Clone, Copy)]
struct Strangers {
    room: u64,
    /// When room was last made.
    since: Instant,
    /// How many were left out since the last one that was written.
    left_out: u64,
}

impl Strangers {
    fn new(now: Instant) -> Self {
        Strangers { room: STRANGERS, since: now, left_out: 0 }
    }

    /// Whether there is room for one more, with the number of those that were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        if seconds > 0 {
            self.room = self.room.saturating_add(seconds).min(STRANGERS);
            self.since = now;
        }
        if self.room == 0 {
            self.left_out += 1;
            return None;
        }
        self.room -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl AuditLog {
    /// Keeps nothing.
    pub fn off() -> Self {
        AuditLog(None)
    }

    /// Appends to this file, which is made with mode 0600 if it is not there.
    ///
    /// # Errors
    /// When it can neither be opened nor made.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lines = Lines::open(path, ROTATE_AT)
            .map_err(|source| OpenError { path: path.into(), source })?;
        Ok(AuditLog(Some(Arc::new(Mutex::new(lines)))))
    }

    /// Appends what became of a caller who has not shown who it is: shortened, and if there are many of them not each; the next that
    /// is written says how many were left out.
    pub fn record_stranger(&self, mut event: Event) {
        let Some(lines) = &self.0 else { return };
        let Some(left_out) = lines.lock().strangers.take(Instant::now()) else { return };
        for text in [&mut event.uri, &mut event.message] {
            if text.len() > CLIPPED {
                text.truncate(text.floor_char_boundary(CLIPPED));
                text.push_str("...");
            }
        }
        if left_out > 0 {
            event.message +=
                &format!(" ({left_out} such requests before it were not written down)");
        }
        self.record(&event);
    }

    /// Appends an event. One that cannot be written is told in the program's own log, where it is not lost.
    pub fn record(&self, event: &Event) {
        let Some(lines) = &self.0 else { return };
        let now = SystemTime::now();
        let line = event.line(&uuid(), now);
        if let Err(error) = lines.lock().append(&line, now) {
            tracing::error!(target: "audit", %error, %line, "the audit log could not be written");
        }
    }
}

/// Appends an event to a file that the process which keeps it appends to as well: a line is one write to its end, and no file is set
/// aside here.
///
/// # Errors
/// When it cannot be opened or written.
pub fn append(path: &Path, event: &Event) -> Result<(), OpenError> {
    let now = SystemTime::now();
    let line = event.line(&uuid(), now);
    let appended = Lines::open(path, u64::MAX).and_then(|mut lines| lines.append(&line, now));
    appended.map_err(|source| OpenError { path: path.into(), source })
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "AuditLog(on)" } else { "AuditLog(off)" })
    }
}

fn uuid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

impl Lines {
    fn open(path: &Path, rotate_at: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        let strangers = Strangers::new(Instant::now());
        Ok(Lines { path: path.into(), file, length, rotate_at, strangers })
    }

    /// One write a line, so that lines are whole whatever happens.
    fn append(&mut self, line: &str, now: SystemTime) -> io::Result<()> {
        if self.length >= self.rotate_at {
            self.rotate(now)?;
        }
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{}", timestamp::format_micros(now)));
        std::fs::rename(&self.path, aside)?;
        let strangers = self.strangers;
        *self = Lines { strangers, ..Lines::open(&self.path, self.rotate_at)? };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn events_are_appended_across_restarts_and_nobody_else_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        for verb in ["create", "delete"] {
            let log = AuditLog::open(&path).unwrap();
            log.record(&Event { verb: verb.into(), ..Event::default() });
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let verbs: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["verb"].clone())
            .collect();
        assert_eq!(verbs, ["create", "delete"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_is_set_aside_and_no_line_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = Lines::open(&dir.path().join("audit.log"), 100).unwrap();
        for at in 0..20_u64 {
            let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
            lines.append(&format!("{at:030}"), now).unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        let count: usize = files
            .iter()
            .map(|file| std::fs::read_to_string(file.path()).unwrap().lines().count())
            .sum();
        assert_eq!((files.len(), count), (5, 20));
    }

    #[test]
    fn who_has_shown_nothing_cannot_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let log = AuditLog::open(&path).unwrap();
        let began = Instant::now();
        let event = Event { uri: "/\u{fc}".repeat(3000), code: 401, ..Event::default() };
        (0..3000).for_each(|_| log.record_stranger(event.clone()));
        let most = STRANGERS + began.elapsed().as_secs() + 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().count() as u64;
        assert!((STRANGERS..=most).contains(&lines), "{lines} of at most {most}");
        assert!(text.lines().all(|line| line.len() < 1200), "{text}");

        let mut strangers = Strangers::new(began);
        let after = |seconds| began + std::time::Duration::from_secs(seconds);
        (0..STRANGERS).for_each(|_| assert_eq!(strangers.take(began), Some(0)));
        (0..7).for_each(|_| assert_eq!(strangers.take(began), None));
        assert_eq!(strangers.take(after(1)), Some(7), "it tells of the others");
        assert_eq!(strangers.take(after(1)), None);
        assert_eq!([strangers.take(after(3)), strangers.take(after(3))], [Some(1), Some(0)]);
        assert_eq!(strangers.take(after(3)), None);
    }

    #[test]
    fn several_may_append_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let log = AuditLog::open(&path).unwrap();
        let long = Event { message: "x".repeat(3000), ..Event::default() };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| append(&path, &long).unwrap()));
            }
            (0..200).for_each(|_| log.record(&long));
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = text.lines().filter(|line| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|it| it["kind"] == "Event")
        });
        assert_eq!((whole.count(), text.lines().count()), (400, 400));
    }

    #[test]
    fn a_place_that_is_none_is_told() {
        let told = AuditLog::open(Path::new("/nowhere/audit.log")).unwrap_err().to_string();
        assert!(told.contains("/nowhere/audit.log") && told.contains("--audit-log"), "{told}");
    }
}
