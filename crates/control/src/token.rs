//! Join tokens for workloads on the control plane's own machine: whoever can read its key may make them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use meltemi_identity::FileError;
use meltemi_identity::token::{Issuer, TokenError};

use crate::state_dir::token_key;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailure {
    /// No control plane was ever started here.
    #[error(
        "no control plane has been started with the state directory {0}: start one with `meltemi control`, name another with --state-dir, or take a token from there (--token-file)"
    )]
    NoKey(PathBuf),
    /// The key is another user's, or damaged.
    #[error("the key of join tokens: {0}")]
    Key(#[from] FileError),
    /// The names cannot stand in a token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Makes a token with which a workload of this service account may join the mesh, good for `ttl`. For the user who runs
/// the control plane, on its machine.
///
/// # Errors
/// When there is no control plane's state directory, its key cannot be read, or the names are none.
pub fn local_join_token(
    state_dir: &Path,
    namespace: &str,
    service_account: &str,
    ttl: Duration,
) -> Result<String, TokenFailure> {
    let issuer = local_issuer(state_dir)?;
    Ok(issuer.issue(namespace, service_account, ttl, SystemTime::now())?)
}

/// The same, but good for a single certificate.
///
/// # Errors
/// As [`local_join_token`].
pub fn local_single_use_token(
    state_dir: &Path,
    namespace: &str,
    service_account: &str,
    ttl: Duration,
) -> Result<String, TokenFailure> {
    let issuer = local_issuer(state_dir)?;
    Ok(issuer.issue_single_use(namespace, service_account, ttl, SystemTime::now())?)
}

fn local_issuer(state_dir: &Path) -> Result<Issuer, TokenFailure> {
    let path = token_key(state_dir);
    // Only the control plane makes the key: one made here would belong to nobody.
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(TokenFailure::NoKey(state_dir.into())),
        Err(source) => return Err(FileError::Read { path, source }.into()),
    }
    Ok(Issuer::open_or_create(&path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_with_the_control_planes_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let message = local_join_token(dir.path(), "shop", "web", hour).unwrap_err().to_string();
        assert!(message.contains("meltemi control"), "{message}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");

        let issuer = Issuer::open_or_create(&token_key(dir.path())).unwrap();
        let token = local_join_token(dir.path(), "shop", "web", hour).unwrap();
        let claims = issuer.verify(&token, SystemTime::now()).unwrap();
        assert_eq!((&*claims.namespace, &*claims.service_account), ("shop", "web"));
        assert!(local_join_token(dir.path(), "Shop!", "web", hour).is_err());
    }
}
