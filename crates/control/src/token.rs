//! Join tokens for workloads on the control plane's own machine: whoever can read its key may make them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meltemi_apiserver::MASTERS;
use meltemi_audit::{Event, ObjectRef, OpenError, User, timestamp};
use meltemi_identity::FileError;
use meltemi_identity::token::{Claims, Issuer, TokenError, Uses};

use crate::control_file::ControlFile;
use crate::state_dir::{audit_log, token_key};

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
    /// It could not be written down that it was made.
    #[error(transparent)]
    Audit(#[from] OpenError),
    /// The names cannot stand in a token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Makes a token with which a workload of this service account may join the mesh, good for `ttl`. For the user who runs
/// the control plane, on its machine, and for a process that joins by it itself: of that tells the certificate that it gets.
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
    Ok(issuer.issue(namespace, service_account, Uses::Many, ttl, SystemTime::now())?)
}

/// The same for a token that is given away: it is in the audit log before it is anywhere else. Where no control plane runs it is in
/// the log of the state directory.
///
/// # Errors
/// As [`local_join_token`], and when it cannot be written down.
pub fn audited_join_token(
    state_dir: &Path,
    namespace: &str,
    service_account: &str,
    uses: Uses,
    ttl: Duration,
) -> Result<String, TokenFailure> {
    let (issuer, now) = (local_issuer(state_dir)?, SystemTime::now());
    let token = issuer.issue(namespace, service_account, uses, ttl, now)?;
    let log = match ControlFile::read(state_dir) {
        Ok(file) => file.audit_log,
        Err(_) => Some(audit_log(state_dir)),
    };
    if let Some(log) = log {
        meltemi_audit::append(&log, &made(&issuer.verify(&token, now)?))?;
    }
    Ok(token)
}

/// That a token was made, and by whom: who can read the key is asked nothing else.
fn made(claims: &Claims) -> Event {
    let seconds = claims.expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let uses = if claims.single_use { "for a single use" } else { "for any number of uses" };
    let until = timestamp::format(seconds);
    let uid = rustix::process::getuid().as_raw();
    Event {
        verb: "create".to_owned(),
        uri: "meltemi token create".to_owned(),
        user: User {
            username: "admin".to_owned(),
            groups: vec![MASTERS.to_owned()],
            credential: format!("key of join tokens, read by the user {uid} of this machine"),
        },
        object: Some(ObjectRef {
            resource: "jointokens".to_owned(),
            namespace: claims.namespace.clone(),
            name: claims.id.clone(),
            ..ObjectRef::default()
        }),
        code: 201,
        message: format!("for {}, {uses}, good until {until}", claims.workload()),
        ..Event::default()
    }
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

    #[test]
    fn a_token_that_is_given_away_is_in_the_audit_log_or_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (hour, log) = (Duration::from_secs(3600), dir.path().join("audit.log"));
        let issuer = Issuer::open_or_create(&token_key(dir.path())).unwrap();
        let make = |uses| audited_join_token(dir.path(), "shop", "web", uses, hour);
        let tokens = [make(Uses::Many).unwrap(), make(Uses::Once).unwrap()];
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for ((line, token), uses) in lines.iter().zip(&tokens).zip(["any number", "a single use"]) {
            let claims = issuer.verify(token, SystemTime::now()).unwrap();
            assert_eq!(line["objectRef"]["name"], claims.id);
            let message = line["responseStatus"]["message"].as_str().unwrap();
            assert!(message.contains("for shop/web") && message.contains(uses), "{message}");
            assert!(!text.contains(token.rsplit_once('.').unwrap().1), "the token itself");
        }
        assert!(audited_join_token(dir.path(), "Shop!", "web", Uses::Once, hour).is_err());
        std::fs::remove_file(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        let refused = make(Uses::Once).unwrap_err().to_string();
        assert!(refused.contains("audit.log"), "{refused}");
    }
}
