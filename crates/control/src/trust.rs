//! Whom the mesh believes: the CA's roots, those that were added, and the revocations in the store; told to every member, and to ourselves.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meltemi_api::Kind;
use meltemi_api::meltemi::CertificateRevocationSpec;
use meltemi_audit::timestamp;
use meltemi_discovery::{Hub, Publisher};
use meltemi_identity::ca::{Authority, MAX_TTL};
use meltemi_identity::{DenyList, Federation, Trust};
use meltemi_names::SpiffeId;
use meltemi_store::{Selector, Store, StoreError, kind};
use meltemi_wire::proto::meltemi::v1;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use crate::announced::Announced;
use crate::federation::Federated;
use crate::grpc::Services;
use crate::identity::OwnIdentity;
use crate::trust_roots::TrustRoots;

/// The wait before a store that failed is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Keeps everybody told.
#[derive(Clone)]
pub(crate) struct Truster {
    pub(crate) authority: Arc<Authority>,
    store: Arc<dyn Store>,
    publisher: Arc<Publisher>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) own: OwnIdentity,
    roots: Arc<TrustRoots>,
    federated: Arc<Federated>,
    announced: Arc<Announced>,
    /// The version that was published last.
    version: Arc<Mutex<String>>,
    /// One at a time, so that what is published last is what is known last.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Truster {
    pub(crate) fn new(
        services: &Services,
        store: Arc<dyn Store>,
        own: OwnIdentity,
        roots: Arc<TrustRoots>,
        federated: Arc<Federated>,
        announced: Arc<Announced>,
    ) -> Self {
        Truster {
            authority: services.authority.clone(),
            store,
            publisher: services.publisher.clone(),
            hub: services.hub.clone(),
            own,
            roots,
            federated,
            announced,
            version: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// Says it anew, as it is now. Answers with the version that members acknowledge.
    pub(crate) async fn tell(&self) -> Result<String, StoreError> {
        let _turn = self.turn.lock().await;
        let denied = self.denied().await?;
        let own = self.authority.bundle();
        self.announced.tell_roots(own.to_pem());
        let bundle = self.federated.beside(self.roots.beside(own));
        let federation = self.federated.federation();
        let said = message(&bundle.to_pem(), &federation, &denied);
        let version = self.publisher.publish_trust(&said);
        // Members of other trust domains may call members of ours, as policies say. None has anything to ask of us.
        let trust = Trust { denied: Arc::new(denied), ..Trust::in_members(bundle) };
        if let Err(error) = self.own.identity().believe(trust) {
            tracing::error!(%error, "the control plane cannot go by the roots of its own CA");
        }
        version.clone_into(&mut self.version.lock());
        Ok(version)
    }

    /// How many members follow, and how many do not believe yet what was said last.
    pub(crate) fn members(&self) -> (usize, usize) {
        let version = self.version.lock().clone();
        self.hub.beliefs(&version)
    }

    /// Tells of changes in the store, for ever.
    pub(crate) async fn run(self) {
        loop {
            match self.follow().await {
                Err(StoreError::Closed) => return,
                Ok(()) | Err(StoreError::Expired { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "revocations cannot be followed; trying again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// Tells of changes in the files with further roots, for ever.
    pub(crate) async fn follow_roots(self) {
        let mut is_untold = false;
        loop {
            self.roots.time().await;
            is_untold |= self.roots.read_anew();
            if is_untold {
                match self.tell().await {
                    Ok(_) => is_untold = false,
                    Err(error) => tracing::warn!(%error, "new roots cannot be told yet"),
                }
            }
        }
    }

    /// Tells of changes of other trust domains, for ever.
    pub(crate) async fn follow_federation(self) {
        loop {
            self.federated.changed().await;
            while let Err(error) = self.tell().await {
                tracing::warn!(%error, "whom to believe of other trust domains cannot be told yet");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    /// Follows one watch until it breaks.
    async fn follow(&self) -> Result<(), StoreError> {
        let version = self.store.list(&revocations()).await?.version;
        let mut watch = self.store.watch(&revocations(), version).await?;
        self.tell().await?;
        loop {
            watch.next().await?;
            self.tell().await?;
        }
    }

    async fn denied(&self) -> Result<DenyList, StoreError> {
        let mut denied = DenyList::default();
        for entry in self.store.list(&revocations()).await?.entries {
            let read = serde_json::from_slice::<Kept>(&entry.value);
            match read {
                Ok(kept) => kept.add_to(&mut denied),
                Err(error) => {
                    tracing::error!(key = %entry.key, %error, "a revocation cannot be read");
                }
            }
        }
        Ok(denied)
    }
}

fn revocations() -> Selector {
    let of = Kind::CertificateRevocation;
    Selector { kind: Some(kind(of.group(), of.plural())), namespace: None }
}

/// The part of a revocation that counts.
#[derive(Deserialize)]
struct Kept {
    metadata: Value,
    spec: CertificateRevocationSpec,
}

impl Kept {
    /// What cannot be read was refused when it was written.
    fn add_to(&self, denied: &mut DenyList) {
        for serial in &self.spec.serial_numbers {
            denied.deny_serial(serial);
        }
        let made = self.metadata["creationTimestamp"].as_str().unwrap_or_default();
        let before = match self.spec.issued_before.as_str() {
            "" => made,
            given => given,
        };
        // A time that cannot be read revokes all that there can be.
        let before = timestamp::parse(before).map(Duration::from_secs);
        let before = before.map_or_else(|| SystemTime::now() + MAX_TTL, |it| UNIX_EPOCH + it);
        for principal in &self.spec.principals {
            if let Ok(id) = format!("spiffe://{principal}").parse::<SpiffeId>() {
                denied.deny_id(id, before);
            }
        }
    }
}

fn message(roots: &str, federation: &Federation, denied: &DenyList) -> v1::Trust {
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    v1::Trust {
        roots: roots.to_owned(),
        denied_serials: denied.serials().map(str::to_owned).collect(),
        denied_identities: denied
            .ids()
            .map(|(id, before)| v1::DeniedIdentity { id: id.to_string(), before: seconds(before) })
            .collect(),
        aliases: federation.aliases().map(ToString::to_string).collect(),
        federated: federation
            .bundles()
            .map(|(domain, bundle)| v1::FederatedDomain {
                trust_domain: domain.to_string(),
                roots: bundle.to_pem(),
            })
            .collect(),
    }
}
