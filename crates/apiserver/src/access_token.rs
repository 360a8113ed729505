//! Tokens that the API hands out: shown once, kept as a hash in an `AccessToken`, revoked by its deletion.
//!
//! A token is `mlt_NAME_SECRET`: the name finds the object, the secret has 256 random bits, so that its plain SHA-256 is
//! as hard to turn round as it is to guess.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::StatusCode;
use meltemi_api::Kind;
use meltemi_api::meltemi::{AccessTokenSpec, GROUP};
use meltemi_audit::timestamp;
use meltemi_names::is_dns_subdomain;
use meltemi_store::{Expect, Key, Store, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{AUTHENTICATED, Principal, same};
use crate::status::Failure;

const PREFIX: &str = "mlt_";
const PLURAL: &str = "accesstokens";

/// A token just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token itself; it is nowhere else.
    pub token: String,
    /// The name of its `AccessToken`.
    pub name: String,
    /// Until when it is good, seconds since 1970.
    pub expires: u64,
}

/// As whom the holder of a token acts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holder<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The groups that it belongs to, besides `system:authenticated`.
    pub groups: &'a [String],
    /// The UID of the service account that it is; without that very account the token is worth nothing.
    pub service_account_uid: Option<&'a str>,
}

/// Makes a token that is good for `ttl` seconds. Without a name it gets one.
///
/// # Errors
/// 409 where the name is taken, 422 where it is none, and what the store met.
pub async fn issue(
    store: &dyn Store,
    name: Option<&str>,
    holder: Holder<'_>,
    ttl: u64,
) -> Result<Issued, Failure> {
    let name =
        name.map_or_else(|| format!("token-{}", &hex(&rand::random::<[u8; 4]>())), str::to_owned);
    if !is_dns_subdomain(&name) {
        let message =
            format!("{name:?} is no name of a token: lower-case letters, digits, `-`, `.`");
        return Err(Failure::bad_request(message));
    }
    let secret = hex(&rand::random::<[u8; 32]>());
    let now = timestamp::now();
    let expires = now.saturating_add(ttl);
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "AccessToken",
        "metadata": {
            "name": name,
            "uid": uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string(),
            "creationTimestamp": timestamp::format(now),
            "generation": 1,
        },
        "spec": {
            "user": holder.user,
            "groups": holder.groups,
            "hash": hash(secret.as_bytes()),
            "expirationTimestamp": timestamp::format(expires),
        },
    });
    if let Some(uid) = holder.service_account_uid {
        object["spec"]["serviceAccountUid"] = uid.into();
    }
    let key = Key::new(GROUP, PLURAL, None, &name);
    match store.put(key.clone(), Bytes::from(object.to_string()), Expect::Absent).await {
        Ok(_) => Ok(Issued { token: format!("{PREFIX}{name}_{secret}"), name, expires }),
        Err(StoreError::AlreadyExists { .. }) => Err(Failure::already_exists(&key)),
        Err(error) => Err(error.into()),
    }
}

/// Whether this is meant to be such a token.
pub(crate) fn is_one(secret: &[u8]) -> bool {
    secret.starts_with(PREFIX.as_bytes())
}

/// Whose token this is.
pub(crate) async fn verify(store: &dyn Store, token: &[u8]) -> Result<Principal, Failure> {
    // One answer for every wrong token: which names there are is nobody's business.
    let wrong =
        || Failure::unauthorized("the token is none of this control plane's, or was revoked");
    let text = std::str::from_utf8(token).map_err(|_| wrong())?;
    let (name, secret) =
        text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or_else(wrong)?;
    if !is_dns_subdomain(name) {
        return Err(wrong());
    }
    let key = Key::new(GROUP, PLURAL, None, name);
    let entry = store.get(&key).await?.ok_or_else(wrong)?;
    let kept: Kept = serde_json::from_slice(&entry.value).map_err(|_| wrong())?;
    if !same(kept.spec.hash.as_bytes(), hash(secret.as_bytes()).as_bytes()) {
        return Err(wrong());
    }
    let lease = Lease { name: name.to_owned(), spec: kept.spec };
    lease.check_time()?;
    lease.check_account(store).await?;
    let mut groups = lease.spec.groups.clone();
    groups.push(AUTHENTICATED.to_owned());
    let name = lease.spec.user.clone();
    Ok(Principal { name, groups, credential: format!("token {}", lease.name), lease: Some(lease) })
}

/// A token as it was when it let somebody in: what outlives its request asks it whether it is still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    spec: AccessTokenSpec,
}

impl Lease {
    /// Refuses if the token was revoked or changed since, or is over.
    ///
    /// # Errors
    /// 401 that says which of them, and what the store met.
    pub(crate) async fn confirm(&self, store: &dyn Store) -> Result<(), Failure> {
        let key = Key::new(GROUP, PLURAL, None, &self.name);
        let Some(entry) = store.get(&key).await? else {
            return Err(Failure::unauthorized(format!("the token {} was revoked", self.name)));
        };
        let kept = serde_json::from_slice::<Kept>(&entry.value);
        // Who it is for may be another by now; the next request is judged by that.
        if kept.is_err() || kept.is_ok_and(|kept| kept.spec != self.spec) {
            return Err(Failure::unauthorized(format!("the token {} was changed", self.name)));
        }
        self.check_time()?;
        self.check_account(store).await
    }

    /// The service account that it is of, in which its goodness lies.
    pub(crate) fn account(&self) -> Option<Key> {
        self.spec.service_account_uid.as_ref()?;
        let (namespace, name) =
            self.spec.user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        let kind = Kind::ServiceAccount;
        Some(Key::new(kind.group(), kind.plural(), Some(namespace), name))
    }

    /// Refuses where its service account is gone, even if another of this name is there by now (Kubernetes, "Service account
    /// tokens": the UID counts).
    async fn check_account(&self, store: &dyn Store) -> Result<(), Failure> {
        let Some(uid) = &self.spec.service_account_uid else { return Ok(()) };
        let entry = match self.account() {
            Some(key) => store.get(&key).await?,
            None => None,
        };
        if entry.is_some_and(|entry| uid_of(&entry.value) == *uid) {
            return Ok(());
        }
        let (name, user) = (&self.name, &self.spec.user);
        Err(Failure::unauthorized(format!("the token {name} is of {user}, which was deleted")))
    }

    fn check_time(&self) -> Result<(), Failure> {
        if self.expires().is_some_and(|expires| expires > timestamp::now()) {
            return Ok(());
        }
        let (name, when) = (&self.name, &self.spec.expiration_timestamp);
        Err(Failure::unauthorized(format!("the token {name} expired at {when}")))
    }

    /// Until when it is good, seconds since 1970; `None` if its time cannot be read, so that it never is.
    pub(crate) fn expires(&self) -> Option<u64> {
        timestamp::parse(&self.spec.expiration_timestamp)
    }
}

/// The part of an `AccessToken` that counts here.
#[derive(Deserialize)]
struct Kept {
    spec: AccessTokenSpec,
}

/// An object's UID; empty if it has none.
pub(crate) fn uid_of(object: &[u8]) -> String {
    let object: Value = serde_json::from_slice(object).unwrap_or_default();
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

fn hash(secret: &[u8]) -> String {
    hex(digest(&SHA256, secret).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `POST /meltemi/v1/tokens` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Wanted {
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) user: String,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    pub(crate) expiration_seconds: u64,
}

/// The longest life of a token, seconds: a year.
const LONGEST: u64 = 365 * 24 * 3600;

impl Wanted {
    /// Makes it. Only for those who may do everything: who makes a token chooses as whom its holder acts.
    pub(crate) async fn issue(self, store: &dyn Store) -> Result<Issued, Failure> {
        check_life(self.expiration_seconds)?;
        if self.user.is_empty() {
            return Err(Failure::bad_request("a token is somebody's: give `user`"));
        }
        let holder = Holder { user: &self.user, groups: &self.groups, service_account_uid: None };
        issue(store, self.name.as_deref(), holder, self.expiration_seconds).await
    }
}

/// Refuses lives that no token has.
pub(crate) fn check_life(seconds: u64) -> Result<(), Failure> {
    if (1..=LONGEST).contains(&seconds) {
        return Ok(());
    }
    let message = format!("a token is good for 1 to {LONGEST} seconds, not for {seconds}");
    Err(Failure {
        code: StatusCode::UNPROCESSABLE_ENTITY,
        reason: "Invalid",
        ..Failure::bad_request(message)
    })
}

#[cfg(test)]
mod tests {
    use meltemi_store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_token_is_kept_as_a_hash_and_ends_by_revocation_or_time() {
        let store = MemoryStore::new();
        let groups = ["ops".to_owned()];
        let alice = Holder { user: "alice", groups: &groups, service_account_uid: None };
        let issued = issue(&store, Some("laptop"), alice, 60).await.unwrap();
        let token = issued.token.as_bytes();
        assert!(is_one(token));
        let found = verify(&store, token).await.unwrap();
        assert_eq!((&*found.name, &*found.credential), ("alice", "token laptop"));
        assert_eq!(found.groups, ["ops", AUTHENTICATED]);
        let key = Key::new(GROUP, PLURAL, None, "laptop");
        let kept = store.get(&key).await.unwrap().unwrap().value;
        let secret = issued.token.rsplit_once('_').unwrap().1;
        assert!(!String::from_utf8(kept.to_vec()).unwrap().contains(secret));

        for wrong in ["mlt_laptop_", "mlt_laptop", "mlt_other_00", "mlt__", "mlt_../x_00"] {
            assert!(verify(&store, wrong.as_bytes()).await.is_err(), "{wrong}");
        }
        let again =
            issue(&store, Some("laptop"), Holder { user: "bob", ..alice }, 60).await.unwrap_err();
        assert_eq!(again.reason, "AlreadyExists");

        let over = issue(&store, None, alice, 0).await.unwrap();
        let told = verify(&store, over.token.as_bytes()).await.unwrap_err();
        assert!(told.message.contains("expired"), "{told}");
        store.delete(key, Expect::Any).await.unwrap();
        assert!(verify(&store, token).await.is_err());
    }

    #[test]
    fn the_hash_is_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc"), abc);
    }
}
