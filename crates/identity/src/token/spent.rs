//! Single-use tokens that were used: kept until they would have expired, across restarts.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::{Claims, TokenError};
use crate::private_file::{self, FileError};

/// Remembers which single-use tokens were used.
#[derive(Debug)]
pub struct SpentTokens {
    path: PathBuf,
    /// Until when each is kept, seconds since 1970.
    ids: Mutex<HashMap<String, u64>>,
}

impl SpentTokens {
    /// Takes up what a file holds, without what is over; makes the file with mode 0600 if there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is damaged: a token of it could be used again.
    pub fn open(path: &Path, now: SystemTime) -> Result<Self, FileError> {
        let text = match private_file::read(path) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => String::new(),
            Err(error) => return Err(error),
        };
        let now = seconds(now);
        let mut ids = HashMap::new();
        for line in text.lines() {
            let read = line.split_once(' ').and_then(|(until, id)| Some((until.parse().ok()?, id)));
            let (until, id): (u64, &str) = read.ok_or_else(|| FileError::Read {
                path: path.into(),
                source: std::io::Error::other(format!("line {line:?} is damaged")),
            })?;
            if until > now {
                ids.insert(id.to_owned(), until);
            }
        }
        let kept: String = ids.iter().map(|(id, until)| format!("{until} {id}\n")).collect();
        private_file::write_secret(path, kept.as_bytes())?;
        Ok(SpentTokens { path: path.into(), ids: Mutex::new(ids) })
    }

    /// Uses a token up, if it is for a single use. The use counts once it is on disk.
    ///
    /// # Errors
    /// [`TokenError::Spent`] for one that was used, [`TokenError::Unwritten`] where the use cannot be kept.
    pub fn spend(&self, claims: &Claims) -> Result<(), TokenError> {
        if !claims.single_use {
            return Ok(());
        }
        let mut ids = self.ids.lock();
        if ids.contains_key(&claims.id) {
            return Err(TokenError::Spent(claims.workload()));
        }
        let until = seconds(claims.expires);
        let line = format!("{until} {}\n", claims.id);
        let written =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path).and_then(
                |mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_data()),
            );
        written.map_err(|error| TokenError::Unwritten(error.to_string()))?;
        ids.insert(claims.id.clone(), until);
        Ok(())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Issuer, Uses};

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_single_use_is_one_across_restarts_and_until_the_token_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spent-tokens");
        let (issuer, now) = (Issuer::new(&[7; 32]), SystemTime::now());
        let single = || {
            let token = issuer.issue("shop", "web", Uses::Once, HOUR, now).unwrap();
            issuer.verify(&token, now).unwrap()
        };
        let (once, other) = (single(), single());
        let many = issuer.issue("shop", "web", Uses::Many, HOUR, now).unwrap();
        let many = issuer.verify(&many, now).unwrap();
        let spent = SpentTokens::open(&path, now).unwrap();
        spent.spend(&once).unwrap();
        assert_eq!(spent.spend(&once), Err(TokenError::Spent("shop/web".into())));
        spent.spend(&other).unwrap();
        for _ in 0..3 {
            spent.spend(&many).unwrap();
        }
        let spent = SpentTokens::open(&path, now).unwrap();
        assert!(spent.spend(&once).is_err() && spent.spend(&other).is_err());
        SpentTokens::open(&path, now + 2 * HOUR).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "what is over is forgotten");
    }

    #[test]
    fn a_damaged_file_and_one_that_cannot_be_written_let_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spent-tokens");
        let now = SystemTime::now();
        std::fs::write(&path, "rubbish\n").unwrap();
        assert!(SpentTokens::open(&path, now).is_err());
        std::fs::write(&path, "").unwrap();
        let spent = SpentTokens::open(&path, now).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let issuer = Issuer::new(&[7; 32]);
        let token = issuer.issue("shop", "web", Uses::Once, HOUR, now).unwrap();
        let claims = issuer.verify(&token, now).unwrap();
        assert!(matches!(spent.spend(&claims), Err(TokenError::Unwritten(_))));
    }
}
