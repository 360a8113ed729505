//! Whose tokens a workload takes: `RequestAuthentication`s, and the keys that were fetched for them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meltemi_names::Host;
use meltemi_policy::jwt::KeySet;
use meltemi_policy::jwt::rule::{JwtRule, RequestAuthentication};

use crate::record::Object;
use crate::selectors::selects;
use crate::workload::InboundPort;

/// A `RequestAuthentication` resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestAuthenticationRecord {
    /// The labels of its workloads; `None` for all of the namespace.
    pub selector: Option<BTreeMap<String, String>>,
    /// The hosts of the services that it is attached to.
    pub services: Vec<String>,
    /// The names of the service entries of its namespace that it is attached to.
    pub entries: Vec<Arc<str>>,
    /// Whether all that it is attached to is nothing that a sidecar stands for.
    pub is_elsewhere: bool,
    /// What has no effect of what it is attached to.
    pub flaw: Option<String>,
    /// Those whose tokens are taken.
    pub rules: Vec<JwtRuleRecord>,
}

/// Somebody whose tokens are taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JwtRuleRecord {
    /// The rule, with the keys that stand in the resource.
    pub rule: JwtRule,
    /// Where the keys are fetched; `None` where they stand in the resource, or nowhere.
    pub keys_from: Option<KeySource>,
    /// How long fetching them may take.
    pub timeout: Duration,
}

/// Where keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySource {
    /// `jwksUri`.
    Uri(Arc<str>),
    /// What the issuer of this address says (OpenID Connect Discovery 1.0, section 4).
    Issuer(Arc<str>),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Uri(uri) => f.write_str(uri),
            KeySource::Issuer(issuer) => write!(f, "the OpenID configuration of {issuer}"),
        }
    }
}

/// What came of fetching keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchedKeys {
    /// A key set that can be used.
    Set(Arc<str>),
    /// None has come yet, for this reason.
    Failed(String),
}

/// All `RequestAuthentication`s, by namespace, and the keys of those that name a source.
#[derive(Debug, Default)]
pub(crate) struct Authentications {
    root: Arc<str>,
    of: BTreeMap<Arc<str>, BTreeMap<Object, Held>>,
    keys: BTreeMap<KeySource, FetchedKeys>,
}

#[derive(Debug)]
struct Held {
    record: RequestAuthenticationRecord,
    /// With the keys that are known, as it travels.
    effective: Arc<RequestAuthentication>,
}

impl Authentications {
    pub(crate) fn new(root: &str) -> Self {
        Authentications { root: root.into(), ..Authentications::default() }
    }

    /// Whether what stands in a namespace is for all of them.
    pub(crate) fn is_root(&self, namespace: &str) -> bool {
        *self.root == *namespace
    }

    /// Every resource.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.of.values().flat_map(BTreeMap::keys)
    }

    /// Sets or removes one; answers whether that changes anything.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        record: Option<RequestAuthenticationRecord>,
    ) -> bool {
        let of = self.of.entry(object.namespace.clone()).or_default();
        if of.get(object).map(|held| &held.record) == record.as_ref() {
            return false;
        }
        match record {
            Some(record) => {
                let effective = Arc::new(effective(object, &record, &self.keys));
                of.insert(object.clone(), Held { record, effective });
            }
            None => drop(of.remove(object)),
        }
        if of.is_empty() {
            self.of.remove(&object.namespace);
        }
        true
    }

    /// Takes in what came of fetching keys; answers with the resources that name the source.
    pub(crate) fn put_keys(&mut self, source: KeySource, keys: FetchedKeys) -> Vec<Object> {
        let mut touched = Vec::new();
        let is_failure = matches!(keys, FetchedKeys::Failed(_));
        match self.keys.get(&source) {
            Some(known) if *known == keys => return touched,
            // The last good ones stay.
            Some(FetchedKeys::Set(_)) if is_failure => return touched,
            _ => {}
        }
        let names = |held: &Held| {
            held.record.rules.iter().any(|rule| rule.keys_from.as_ref() == Some(&source))
        };
        let named = self.of.values().flatten().filter(|(_, held)| names(held));
        touched.extend(named.map(|(object, _)| object.clone()));
        // An answer may come after the last resource that asked is gone.
        if !touched.is_empty() {
            self.keys.insert(source, keys);
        }
        for (object, held) in self.of.values_mut().flatten() {
            if touched.contains(object) {
                held.effective = Arc::new(effective(object, &held.record, &self.keys));
            }
        }
        touched
    }

    /// Forgets keys that no resource names any more.
    pub(crate) fn forget_unused(&mut self) {
        if !self.keys.is_empty() {
            let wanted = self.sources();
            self.keys.retain(|source, _| wanted.contains_key(source));
        }
    }

    /// Where keys are to be fetched, and how long that may take.
    pub(crate) fn sources(&self) -> BTreeMap<KeySource, Duration> {
        let mut sources = BTreeMap::new();
        for rule in self.of.values().flat_map(BTreeMap::values).flat_map(|it| &it.record.rules) {
            if let Some(source) = &rule.keys_from {
                let longest: &mut Duration = sources.entry(source.clone()).or_default();
                *longest = rule.timeout.max(*longest);
            }
        }
        sources
    }

    /// Those that are for a workload with these services: of the root namespace, then of its own, each that selects it or is
    /// attached to one of its services, and each that does neither.
    pub(crate) fn find(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        inbound: &[InboundPort],
        entries: &[(&Object, &[Host])],
    ) -> Vec<Arc<RequestAuthentication>> {
        let root = Some(&*self.root).filter(|root| *root != namespace);
        let of = root.into_iter().chain([namespace]).filter_map(|namespace| self.of.get(namespace));
        let is_for = |it: &&Held| {
            let selector = it.record.selector.as_ref();
            !it.record.is_elsewhere && selector.is_none_or(|selector| selects(selector, labels))
        };
        let all = of.flat_map(BTreeMap::values).filter(is_for);
        all.filter_map(|held| held.attached(inbound, entries)).collect()
    }

    /// Why a resource has not all of its effect: rules without keys, whose tokens are all refused.
    pub(crate) fn flaw(&self, object: &Object) -> Option<String> {
        let held = self.of.get(&object.namespace)?.get(object)?;
        let rules = held.record.rules.iter().enumerate();
        let of_rules = rules.filter_map(|(at, rule)| {
            let why = self.why_no_keys(rule)?;
            let issuer = &rule.rule.issuer;
            Some(format!("spec.jwtRules[{at}]: every token of {issuer} is refused: {why}"))
        });
        let flaws: Vec<String> = held.record.flaw.iter().cloned().chain(of_rules).collect();
        (!flaws.is_empty()).then(|| flaws.join("; "))
    }

    fn why_no_keys(&self, rule: &JwtRuleRecord) -> Option<String> {
        match (&rule.rule.jwks, &rule.keys_from) {
            (Some(jwks), _) => {
                let error = KeySet::parse(jwks).err()?;
                Some(format!("its jwks: {error}"))
            }
            (None, Some(source)) => match self.keys.get(source)? {
                FetchedKeys::Set(keys) => {
                    let error = KeySet::parse(keys).err()?;
                    Some(format!("the keys that {source} answers: {error}"))
                }
                FetchedKeys::Failed(why) => {
                    Some(format!("its keys cannot be fetched from {source}: {why}"))
                }
            },
            (None, None) => Some(
                "it names neither jwks nor jwksUri, and the issuer is no address that could be asked".into(),
            ),
        }
    }
}

impl Held {
    /// The resource for a workload with these services that these entries select: the hosts of those that it is attached to are
    /// services like others. `None` where it is attached to none of the workload's.
    fn attached(
        &self,
        inbound: &[InboundPort],
        entries: &[(&Object, &[Host])],
    ) -> Option<Arc<RequestAuthentication>> {
        let (record, effective) = (&self.record, &self.effective);
        if record.services.is_empty() && record.entries.is_empty() {
            return Some(effective.clone());
        }
        let is_meant = |object: &Object| {
            *object.namespace == *effective.namespace && record.entries.contains(&object.name)
        };
        let meant = entries.iter().filter(|(object, _)| is_meant(object));
        let hosts = meant.flat_map(|(_, hosts)| *hosts).map(ToString::to_string);
        let mut attached = RequestAuthentication::clone(effective);
        attached.services = record.services.iter().cloned().chain(hosts).collect();
        let is_own = |host: &String| inbound.iter().any(|port| port.host.as_str() == host);
        attached.services.iter().any(is_own).then(|| attached.into())
    }
}

/// A resource with the keys that are known.
fn effective(
    object: &Object,
    record: &RequestAuthenticationRecord,
    keys: &BTreeMap<KeySource, FetchedKeys>,
) -> RequestAuthentication {
    let rules = record.rules.iter().map(|it| {
        let fetched = it.keys_from.as_ref().and_then(|source| match keys.get(source)? {
            FetchedKeys::Set(set) => Some(set.to_string()),
            FetchedKeys::Failed(_) => None,
        });
        JwtRule { jwks: it.rule.jwks.clone().or(fetched), ..it.rule.clone() }
    });
    RequestAuthentication {
        name: object.name.to_string(),
        namespace: object.namespace.to_string(),
        services: Vec::new(),
        jwt_rules: rules.collect(),
    }
}
