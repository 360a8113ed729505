//! Roots of other CAs that sign for the mesh's trust domain, out of files: of SPIRE, say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use meltemi_identity::TrustBundle;
use parking_lot::Mutex;

use crate::error::ControlError;

/// How often the files are looked at. They may be mounted, or put in place by links, of which no file system tells.
const EVERY: Duration = Duration::from_secs(10);

/// The files, and what they held last.
#[derive(Debug)]
pub(crate) struct TrustRoots {
    files: Vec<PathBuf>,
    /// `None` without files.
    bundle: Mutex<Option<TrustBundle>>,
}

impl TrustRoots {
    /// Reads the files; each must hold a root.
    pub(crate) fn open(files: &[PathBuf]) -> Result<Self, ControlError> {
        let bundle = Mutex::new(read(files)?);
        Ok(TrustRoots { files: files.to_owned(), bundle })
    }

    /// These roots, and the files' after them: the first one is the CA's, by which members know whether to renew.
    pub(crate) fn beside(&self, own: TrustBundle) -> TrustBundle {
        match &*self.bundle.lock() {
            // All were good as roots before, and so they are together.
            Some(further) => own.with(further).unwrap_or(own),
            None => own,
        }
    }

    /// Comes back when it is time to look at the files; never without files.
    pub(crate) async fn time(&self) {
        match self.files.is_empty() {
            true => std::future::pending().await,
            false => tokio::time::sleep(EVERY).await,
        }
    }

    /// Whether the files hold other roots now. Where they cannot be read, the roots of before stay.
    pub(crate) fn read_anew(&self) -> bool {
        let found = match read(&self.files) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "going on with the roots of before");
                return false;
            }
        };
        let mut bundle = self.bundle.lock();
        let is_new = *bundle != found;
        *bundle = found;
        is_new
    }
}

fn read(files: &[PathBuf]) -> Result<Option<TrustBundle>, ControlError> {
    let load = |path: &Path| {
        let wrong = |source| ControlError::TrustRoot { path: path.into(), source };
        TrustBundle::load(path).map_err(wrong)
    };
    let mut all: Option<TrustBundle> = None;
    for path in files {
        let bundle = load(path)?;
        let wrong = |source| ControlError::TrustRoot { path: path.clone(), source };
        all = Some(match all {
            Some(before) => before.with(&bundle).map_err(wrong)?,
            None => bundle,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use meltemi_identity::ca::Authority;

    use super::*;

    fn root(dir: &Path) -> TrustBundle {
        let domain = "cluster.local".parse().unwrap();
        Authority::open_or_create(dir, domain, SystemTime::now()).unwrap().bundle()
    }

    #[test]
    fn roots_are_believed_after_the_cas_and_follow_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let [own, first, second] = ["own", "a", "b"].map(|name| root(&dir.path().join(name)));
        let file = dir.path().join("roots.pem");
        let missing = TrustRoots::open(std::slice::from_ref(&file)).unwrap_err().to_string();
        assert!(missing.contains("--trust-root") && missing.contains("roots.pem"), "{missing}");

        first.save(&file).unwrap();
        let roots = TrustRoots::open(std::slice::from_ref(&file)).unwrap();
        assert_eq!(roots.beside(own.clone()), own.with(&first).unwrap());
        assert!(!roots.read_anew());
        std::fs::write(&file, "no roots").unwrap();
        assert!(!roots.read_anew());
        assert_eq!(roots.beside(own.clone()), own.with(&first).unwrap());
        second.save(&file).unwrap();
        assert!(roots.read_anew());
        assert_eq!(roots.beside(own.clone()), own.with(&second).unwrap());
        assert_eq!(TrustRoots::open(&[]).unwrap().beside(own.clone()), own);
    }
}
