//! The file that events are appended to.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use thiserror::Error;

use crate::event::Event;
use crate::timestamp;

/// A file that has reached this size, in bytes, is set aside under a name with the time, and a new one begun.
const ROTATE_AT: u64 = 64 << 20;

/// Why there is no audit log.
#[derive(Debug, Error)]
#[error(
    "the audit log {path} cannot be opened: {source}; free the place, or name another with --audit-log, or `off`"
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
        Ok(Lines { path: path.into(), file, length, rotate_at })
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
        *self = Lines::open(&self.path, self.rotate_at)?;
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
    fn a_place_that_is_none_is_told() {
        let told = AuditLog::open(Path::new("/nowhere/audit.log")).unwrap_err().to_string();
        assert!(told.contains("/nowhere/audit.log") && told.contains("--audit-log"), "{told}");
    }
}
