//! Replacing the root without an outage: the new one is believed before it signs, the old one after it has signed last.
//!
//! 1. [`Authority::prepare_root`] makes a new root beside the old; the bundle holds both, the old one signs.
//! 2. When every member believes both, [`Authority::activate_root`] lets the new one sign. Members renew.
//! 3. When no certificate of the old one is good any more, [`Authority::retire_roots`] leaves the new one alone.
//!
//! The first certificate in `root-cert.pem` is the one that signs. Each step is one file written whole, so that a crash
//! between leaves a CA that works and goes on where it was.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::authority::{
    Authority, AuthorityError, ROOT_CERT, ROOT_KEY, is_key_of, make_key, read_certificates,
    read_own_key,
};
use super::{root, sign};
use crate::bundle::certificate_pem;
use crate::private_file::{self, FileError};

const NEXT_KEY: &str = "next-root-key.pem";
/// Since when the first root signs, seconds since 1970; there while an older one is still believed.
const SINCE: &str = "root-since";

/// How far a replacement of the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// There is one root.
    Idle,
    /// A new root is believed, and does not sign yet.
    Prepared,
    /// The new root signs; the old one is believed until this time, when all that it has signed is over.
    Activated {
        /// When the old one may go.
        until: SystemTime,
    },
}

/// Why a step is not taken.
#[derive(Debug, Error)]
pub enum RotationError {
    /// It is not the turn of this step.
    #[error("{0}")]
    Turn(&'static str),
    /// Certificates of the old root may still be in use.
    #[error(
        "certificates that the old root has signed may be good for {0} s yet; wait, or force it once all workloads have renewed"
    )]
    Early(u64),
    /// The CA's files.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Authority {
    /// How far a replacement of the root is.
    pub fn rotation(&self) -> Rotation {
        let dir = self.dir();
        if self.bundle().roots().len() < 2 {
            return Rotation::Idle;
        }
        if dir.join(NEXT_KEY).exists() {
            return Rotation::Prepared;
        }
        let since = private_file::read(&dir.join(SINCE)).ok();
        let since = since.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        // Roots that somebody has put there by hand: of when they signed last nothing is known.
        let until = UNIX_EPOCH + since.unwrap_or_default() + sign::MAX_TTL;
        Rotation::Activated { until }
    }

    /// Makes a new root. From now on the bundle holds it too: tell the members.
    ///
    /// # Errors
    /// For a CA that is not ours, during another replacement, and when files cannot be written.
    pub fn prepare_root(&self, now: SystemTime) -> Result<(), RotationError> {
        if !self.is_own() {
            return Err(RotationError::Turn(
                "the CA is given by --cacerts: put a new root beside the old one there, and restart",
            ));
        }
        if self.rotation() != Rotation::Idle {
            return Err(RotationError::Turn(
                "the root is being replaced already: `meltemi ca status` says how far that is",
            ));
        }
        let dir = self.dir();
        let key = make_key(&dir.join(NEXT_KEY))?;
        let next = root::make_root(self.trust_domain(), &key, now).map_err(AuthorityError::from)?;
        let mut roots = read_certificates(&dir.join(ROOT_CERT))?;
        roots.push(next.der().clone());
        write_roots(self, &roots)?;
        self.reload().map_err(Into::into)
    }

    /// Lets the new root sign, by a new intermediate. Only when all members believe it.
    ///
    /// # Errors
    /// When no new root was prepared, and when files cannot be written.
    pub fn activate_root(&self, now: SystemTime) -> Result<(), RotationError> {
        if self.rotation() != Rotation::Prepared {
            return Err(RotationError::Turn(
                "there is no new root to go over to: `meltemi ca rotate` makes one",
            ));
        }
        let dir = self.dir();
        let mut roots = read_certificates(&dir.join(ROOT_CERT))?;
        roots.rotate_right(1);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        private_file::write_public(&dir.join(SINCE), since.to_string().as_bytes())
            .map_err(AuthorityError::from)?;
        write_roots(self, &roots)?;
        adopt_next_key(dir)?;
        self.renew_intermediate(now).map_err(Into::into)
    }

    /// Leaves the root that signs alone.
    ///
    /// # Errors
    /// When there is no other, and, without `force`, while certificates of the old one may be good.
    pub fn retire_roots(&self, force: bool, now: SystemTime) -> Result<(), RotationError> {
        let until = match self.rotation() {
            Rotation::Activated { until } => until,
            Rotation::Idle => return Err(RotationError::Turn("there is one root alone")),
            Rotation::Prepared => {
                return Err(RotationError::Turn(
                    "the new root does not sign yet: `meltemi ca rotate` goes on",
                ));
            }
        };
        if let Ok(left) = until.duration_since(now)
            && !force
            && !left.is_zero()
        {
            return Err(RotationError::Early(left.as_secs()));
        }
        let first = read_certificates(&self.dir().join(ROOT_CERT))?.swap_remove(0);
        write_roots(self, &[first])?;
        // Nothing reads it with one root.
        let _ = std::fs::remove_file(self.dir().join(SINCE));
        self.reload().map_err(Into::into)
    }
}

/// Once the new root is the first of the file, its key takes the place of the old one's, which signs nothing any more. Does
/// nothing before; after a crash it does what is left to do.
pub(super) fn adopt_next_key(dir: &Path) -> Result<(), AuthorityError> {
    let next = dir.join(NEXT_KEY);
    if !next.exists() {
        return Ok(());
    }
    let (key, first) =
        (read_own_key(&next)?, read_certificates(&dir.join(ROOT_CERT))?.swap_remove(0));
    if !is_key_of(&key, &first) {
        return Ok(());
    }
    private_file::write_secret(&dir.join(ROOT_KEY), key.to_pem().as_bytes())?;
    std::fs::remove_file(&next).map_err(|source| FileError::Write { path: next, source }.into())
}

fn write_roots(
    authority: &Authority,
    roots: &[rustls_pki_types::CertificateDer<'_>],
) -> Result<(), AuthorityError> {
    let pem: String = roots.iter().map(certificate_pem).collect();
    Ok(private_file::write_public(&authority.dir().join(ROOT_CERT), pem.as_bytes())?)
}

#[cfg(test)]
mod tests;
