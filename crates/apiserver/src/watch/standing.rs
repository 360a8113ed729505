//! Whether a watcher may still watch: asked again whenever its token, or a role or binding that may count for it, changes,
//! and when its token ends.

use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::stream::{SelectAll, StreamExt, select_all};
use meltemi_api::Kind;
use meltemi_store::{Event, Selector, StoreError, Watch, kind};
use tokio::task::unconstrained;

use crate::caller::Caller;
use crate::status::Failure;
use crate::target::Target;

/// A watcher's right to what it watches.
pub(crate) struct Standing {
    caller: Caller,
    target: Target,
    /// Changes on which the right may depend; none where it depends on nothing that is stored.
    changes: SelectAll<Watch>,
    /// When the caller's token ends, seconds since 1970.
    expires: Option<u64>,
    /// Something happened after which the right was not looked at yet.
    in_doubt: bool,
    /// Why no change will be heard of any more.
    deaf: Option<StoreError>,
}

impl Standing {
    /// Follows the right from now on.
    ///
    /// # Errors
    /// 401 or 403 if it is gone already, and what the store met.
    pub(crate) async fn begin(caller: Caller, target: Target) -> Result<Self, Failure> {
        let expires = caller.principal.lease.as_ref().and_then(|lease| lease.expires());
        let mut watches = Vec::new();
        let mut from = None;
        for selector in deciding(&caller, &target) {
            let from = match from {
                Some(from) => from,
                None => *from.insert(caller.store.list(&selector).await?.version),
            };
            watches.push(caller.store.watch(&selector, from).await?);
        }
        let changes = select_all(watches);
        // What happened between the gate and the first of these watches is found by asking once more.
        let mut standing = Self { caller, target, changes, expires, in_doubt: true, deaf: None };
        standing.check().await?;
        Ok(standing)
    }

    /// Comes when the right has to be looked at again, by [`Self::check`]. What it has seen is not lost when it is dropped.
    pub(crate) async fn doubted(&mut self) {
        if self.in_doubt {
            return;
        }
        let has_changes = !self.changes.is_empty();
        tokio::select! {
            change = self.changes.next(), if has_changes => self.hear(change),
            () = reached(self.expires) => {}
        }
        self.in_doubt = true;
    }

    /// Refuses if the right is gone by what is stored now.
    ///
    /// # Errors
    /// 401 if the token is, 403 if what it allowed is, and what the store met.
    pub(crate) async fn check(&mut self) -> Result<(), Failure> {
        // Without the scheduler's budget: a change that is there is seen.
        while !self.changes.is_empty()
            && self.deaf.is_none()
            && let Some(change) = unconstrained(self.changes.next()).now_or_never()
        {
            self.hear(change);
        }
        if let Some(error) = self.deaf.take() {
            return Err(error.into());
        }
        if self.in_doubt {
            if let Some(lease) = &self.caller.principal.lease {
                lease.confirm(&*self.caller.store).await?;
            }
            self.caller.authorize("watch", &self.target).await?;
            self.in_doubt = false;
        }
        Ok(())
    }

    fn hear(&mut self, change: Option<Result<Event, StoreError>>) {
        self.in_doubt = true;
        match change {
            Some(Ok(_)) => {}
            Some(Err(error)) => self.deaf = Some(error),
            None => self.deaf = Some(StoreError::Closed),
        }
    }
}

/// The kinds of objects, and where, that say whether the caller may watch this.
fn deciding(caller: &Caller, target: &Target) -> Vec<Selector> {
    let all = |of: Kind, namespace: Option<&str>| Selector {
        kind: Some(kind(of.group(), of.plural())),
        namespace: namespace.map(str::to_owned),
    };
    let mut found = Vec::new();
    if let Some(lease) = &caller.principal.lease {
        found.push(all(Kind::AccessToken, None));
        let account = lease.account().and_then(|key| key.namespace);
        found.extend(account.map(|namespace| all(Kind::ServiceAccount, Some(&namespace))));
    }
    if !caller.principal.is_master() {
        found.extend([Kind::ClusterRoleBinding, Kind::ClusterRole].map(|of| all(of, None)));
        if let Some(namespace) = target.namespace.as_deref() {
            found.extend([Kind::RoleBinding, Kind::Role].map(|of| all(of, Some(namespace))));
        }
    }
    found
}

/// Comes at this time, seconds since 1970; without one never.
async fn reached(time: Option<u64>) {
    let Some(time) = time else { return pending().await };
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(time));
    let left = end.and_then(|end| end.duration_since(SystemTime::now()).ok());
    tokio::time::sleep(left.unwrap_or_default()).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meltemi_audit::timestamp;
    use meltemi_store::{MemoryStore, Store};

    use super::*;
    use crate::access_token::{Holder, issue, verify};
    use crate::auth::MASTERS;

    /// What is found when a token of this many seconds has ended.
    async fn outlived(store: &Arc<dyn Store>, seconds: u64) -> Result<Failure, Failure> {
        let masters = [MASTERS.to_owned()];
        let alice = Holder { user: "alice", groups: &masters, service_account_uid: None };
        let issued = issue(&**store, None, alice, seconds).await?;
        let principal = verify(&**store, issued.token.as_bytes()).await?;
        let target = Target::parse("", "v1", "services")?;
        let caller = Caller { store: store.clone(), principal };
        let mut standing = Standing::begin(caller, target).await?;
        loop {
            standing.doubted().await;
            if let Err(failure) = standing.check().await {
                assert!(timestamp::now() >= issued.expires, "it is still good");
                return Ok(failure);
            }
        }
    }

    #[tokio::test]
    async fn a_right_ends_with_its_token() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        // A machine may stand still for so long that the token is over before the watch begins: then with a longer one.
        let mut seconds = 1;
        let failure = loop {
            match outlived(&store, seconds).await {
                Ok(failure) => break failure,
                Err(early) => assert!(early.message.contains("expired"), "{early}"),
            }
            seconds *= 2;
        };
        assert_eq!(failure.code, http::StatusCode::UNAUTHORIZED);
        assert!(failure.message.contains("expired"), "{failure}");
    }
}
