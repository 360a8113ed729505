//! What the control plane has told so far, by name: takes updates in, says what follows from each. No I/O, no clock.

mod forget;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use meltemi_wire::delta::client::{Added, Refused, Update};
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::type_url;
use prost::Message as _;

use super::compile::{self, EndpointPlan, ServicePlan, Unusable};
use super::hosted::{Hosted, Left};
use super::last_good::Resource;
use super::snapshot::{Answer, Asked};
use super::{Inbound, Own, Snapshot};

/// How many names a proxy follows; more are dropped, those least needed first.
pub(super) const MAX_NAMES: usize = 10_000;

/// Everything that was received and is in effect.
#[derive(Debug)]
pub(super) struct Receiver {
    limit: usize,
    first_turn: u32,
    names: BTreeMap<Arc<str>, Name>,
    hosts: BTreeMap<Arc<str>, Hosted>,
    own: Option<Resource>,
    /// Who we are, for rules.
    caller: Arc<Own>,
    inbound: Arc<Inbound>,
    /// What requests see of the names.
    view: HashMap<Arc<str>, Asked>,
    set_aside: BTreeMap<(&'static str, String), String>,
    /// Counts what is asked, to know the oldest.
    turn: u64,
    generation: u64,
    revision: u64,
}

/// A name that somebody asked for.
#[derive(Debug)]
struct Name {
    state: State,
    /// The host that it leads to, or led to before the control plane denied it: should the service come back, its
    /// endpoints are here before it.
    host: Option<Arc<str>>,
    asked: u64,
    used: Arc<AtomicBool>,
}

#[derive(Debug)]
enum State {
    /// No answer yet.
    Open,
    Denied,
    Refused(Arc<str>),
    Present {
        version: String,
        body: Bytes,
    },
}

/// What follows from an update or a question.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Resources that cannot be used.
    pub(super) refused: Vec<Refused>,
    /// Whether requests must see a new snapshot.
    pub(super) is_visible: bool,
    /// Endpoints that the new snapshot no longer has.
    pub(super) left: Left,
    /// Subscriptions to make and to end, in this order.
    pub(super) follow: Vec<Follow>,
    touched: BTreeSet<Arc<str>>,
    renamed: BTreeSet<Arc<str>>,
}

/// A subscription, by type and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// To be made.
    Begin(&'static str, String),
    /// To be ended.
    End(&'static str, String),
}

impl Receiver {
    /// Nothing is known yet. At most `limit` names are followed. `first_turn` should be random: it decides which endpoint
    /// comes first, so that the proxies of a mesh do not all begin with the same one.
    pub(super) fn new(limit: usize, first_turn: u32, caller: Own) -> Receiver {
        Receiver {
            limit,
            first_turn,
            names: BTreeMap::new(),
            hosts: BTreeMap::new(),
            own: None,
            caller: Arc::new(caller),
            inbound: Arc::default(),
            view: HashMap::new(),
            set_aside: BTreeMap::new(),
            turn: 0,
            generation: 0,
            revision: 0,
        }
    }

    /// Takes an update in. Each of its resources stands for itself: one that is refused changes nothing.
    pub(super) fn update(&mut self, update: Update) -> Change {
        let mut change = Change::default();
        let kind = update.type_url.as_str();
        for name in &update.removed {
            match kind {
                type_url::SERVICE => self.deny(name, &mut change),
                type_url::ENDPOINT => self.remove_endpoint(name, &mut change),
                // The workload was taken out of the registry, but requests that are on their way still come.
                _ => {}
            }
            self.clear(kind, name);
        }
        for added in update.added {
            let name = added.name.clone();
            let taken = match kind {
                type_url::SERVICE => self.put_service(added, &mut change),
                type_url::ENDPOINT => self.put_endpoint(added, &mut change),
                type_url::WORKLOAD => self.put_workload(added, &mut change),
                _ => Ok(()),
            };
            match taken {
                Ok(()) => self.clear(kind, &name),
                Err(reason) => self.refuse(kind, name, reason, &mut change),
            }
        }
        self.revision += 1;
        self.settle(change)
    }

    /// Notes that a name is asked for; does nothing if it is followed already.
    pub(super) fn ask(&mut self, name: &str) -> Change {
        let mut change = Change::default();
        if self.names.contains_key(name) {
            return change;
        }
        if self.names.len() >= self.limit {
            self.make_room(&mut change);
        }
        self.turn += 1;
        let asked = Name {
            state: State::Open,
            host: None,
            asked: self.turn,
            used: Arc::new(AtomicBool::new(false)),
        };
        self.names.insert(name.into(), asked);
        change.follow.push(Follow::Begin(type_url::SERVICE, name.into()));
        self.settle(change)
    }

    /// What requests are to see from now on.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.generation += 1;
        Snapshot {
            generation: self.generation,
            names: self.view.clone(),
            inbound: self.inbound.clone(),
            own: self.caller.clone(),
        }
    }

    /// Counts what was taken in; the same number means that nothing was.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Resources that were refused, with the reason; gone from here once a usable version or a removal came.
    pub(super) fn set_aside(&self) -> Vec<(String, String)> {
        let named = self.set_aside.iter().map(|((kind, name), reason)| {
            let kind = kind.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            (format!("{kind} {name}"), reason.clone())
        });
        named.collect()
    }

    /// The services in effect, by the names asked for.
    pub(super) fn services(&self) -> impl Iterator<Item = Resource> {
        self.names.iter().filter_map(|(name, it)| match &it.state {
            State::Present { version, body } => Some(Resource {
                name: name.to_string(),
                version: version.clone(),
                body: body.clone(),
            }),
            _ => None,
        })
    }

    /// The endpoints of these services, by `HOST/WORKLOAD`.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = Resource> {
        self.served().flat_map(|(host, hosted)| {
            hosted.members().map(move |(member, version, body)| Resource {
                name: format!("{host}/{member}"),
                version: version.into(),
                body: body.clone(),
            })
        })
    }

    /// The hosts of these services whose endpoints are all known.
    pub(super) fn listed(&self) -> impl Iterator<Item = &str> {
        self.served().filter(|(_, hosted)| hosted.listed).map(|(host, _)| &**host)
    }

    fn served(&self) -> impl Iterator<Item = (&Arc<str>, &Hosted)> {
        self.hosts.iter().filter(|(_, hosted)| hosted.service.is_some())
    }

    /// Our own workload.
    pub(super) fn own(&self) -> Option<&Resource> {
        self.own.as_ref()
    }

    /// Type and name of all that must be subscribed to, our own workload apart.
    pub(super) fn subscriptions(&self) -> impl Iterator<Item = (&'static str, String)> {
        let names = self.names.keys().map(|name| (type_url::SERVICE, name.to_string()));
        names.chain(self.hosts.keys().map(|host| (type_url::ENDPOINT, glob(host))))
    }

    fn put_service(&mut self, added: Added, change: &mut Change) -> Result<(), String> {
        let Added { name, version, body } = added;
        let body = Bytes::from(body);
        let Some(known) = self.names.get_mut(&*name) else {
            return Err("it was not asked for".into());
        };
        if let State::Present { version: held, body: same } = &mut known.state
            && *same == body
        {
            *held = version;
            return Ok(());
        }
        let plan = ServicePlan::read(&body, &self.caller).map_err(reason)?;
        known.state = State::Present { version, body };
        let before = known.host.replace(plan.host.clone());
        let name: Arc<str> = name.into();
        if let Some(before) = before.filter(|before| *before != plan.host) {
            self.unlink(&name, &before, change);
        }
        let hosted = self.hosts.entry(plan.host.clone()).or_insert_with(|| {
            change.follow.push(Follow::Begin(type_url::ENDPOINT, glob(&plan.host)));
            Hosted::default()
        });
        hosted.names.insert(name.clone());
        change.touched.insert(plan.host.clone());
        change.renamed.insert(name);
        hosted.service = Some(plan);
        Ok(())
    }

    fn deny(&mut self, name: &str, change: &mut Change) {
        let Some(known) = self.names.get_mut(name) else { return };
        known.state = State::Denied;
        change.renamed.insert(name.into());
        if let Some(host) = known.host.clone() {
            self.end_if_unnamed(&host);
            change.touched.insert(host);
        }
    }

    fn put_endpoint(&mut self, added: Added, change: &mut Change) -> Result<(), String> {
        let Added { name, version, body } = added;
        let (host, member) = name.rsplit_once('/').unwrap_or_default();
        let Some(hosted) = self.hosts.get_mut(host) else {
            return Err("its service was not asked for".into());
        };
        // That one endpoint cannot be used does not make the list unknown.
        hosted.listed = true;
        change.touched.insert(host.into());
        let plan = EndpointPlan::read(&body).map_err(reason)?;
        hosted.put(member, version, body.into(), plan);
        Ok(())
    }

    fn remove_endpoint(&mut self, name: &str, change: &mut Change) {
        let Some((host, member)) = name.rsplit_once('/') else { return };
        let Some(hosted) = self.hosts.get_mut(host) else { return };
        match member {
            // There is none.
            "*" => hosted.clear(&mut change.left),
            _ => hosted.remove(member, &mut change.left),
        }
        hosted.listed = true;
        change.touched.insert(host.into());
    }

    fn put_workload(&mut self, added: Added, change: &mut Change) -> Result<(), String> {
        let (mut inbound, caller) = compile::workload(&added.body).map_err(reason)?;
        inbound.follow(&self.inbound);
        if caller != *self.caller {
            self.caller = Arc::new(caller);
            change.is_visible = true;
            self.read_again(change);
        }
        if inbound != *self.inbound {
            self.inbound = Arc::new(inbound);
            change.is_visible = true;
        }
        self.own = Some(without_secrets(added).map_err(reason)?);
        Ok(())
    }

    /// Rules that choose their callers may mean something else now that we are known better.
    fn read_again(&mut self, change: &mut Change) {
        let mut refused = Vec::new();
        for (host, hosted) in &mut self.hosts {
            let mut bodies =
                hosted.names.iter().filter_map(|name| match &self.names.get(name)?.state {
                    State::Present { body, .. } => Some((name, body)),
                    _ => None,
                });
            let Some((name, body)) = bodies.next() else { continue };
            match ServicePlan::read(body, &self.caller) {
                Ok(plan) => {
                    hosted.service = Some(plan);
                    change.touched.insert(host.clone());
                }
                Err(error) => refused.push((name.to_string(), reason(error))),
            }
        }
        for (name, reason) in refused {
            self.set_aside.insert((type_url::SERVICE, name), reason);
        }
    }

    fn refuse(&mut self, kind: &str, name: String, reason: String, change: &mut Change) {
        if kind == type_url::SERVICE
            && let Some(known) = self.names.get_mut(&*name)
            && !matches!(known.state, State::Present { .. })
        {
            known.state = State::Refused(reason.as_str().into());
            change.renamed.insert(name.as_str().into());
        }
        self.set_aside.insert((kind_of(kind), name.clone()), reason.clone());
        change.refused.push(Refused { name, reason });
    }

    fn clear(&mut self, kind: &str, name: &str) {
        if self.set_aside.is_empty() {
            return;
        }
        match name.strip_suffix('*') {
            Some(prefix) if kind == type_url::ENDPOINT => self.clear_endpoints(prefix),
            _ => drop(self.set_aside.remove(&(kind_of(kind), name.to_owned()))),
        }
    }

    fn clear_endpoints(&mut self, prefix: &str) {
        self.set_aside
            .retain(|(kind, name), _| *kind != type_url::ENDPOINT || !name.starts_with(prefix));
    }

    /// Builds what was touched, and brings the view in line.
    fn settle(&mut self, mut change: Change) -> Change {
        let touched = std::mem::take(&mut change.touched);
        let mut renamed = std::mem::take(&mut change.renamed);
        for host in touched {
            if let Some(hosted) = self.hosts.get_mut(&host) {
                hosted.build(self.first_turn, &self.caller, &mut change.left);
                renamed.extend(hosted.names.iter().cloned());
            }
        }
        for name in renamed {
            change.is_visible |= self.show(&name);
        }
        change
    }

    /// Brings the view of one name in line; whether that changed it.
    fn show(&mut self, name: &str) -> bool {
        let Some(now) = self.answer(name) else { return self.view.remove(name).is_some() };
        if self.view.get(name).is_some_and(|before| before.answer.is(&now)) {
            return false;
        }
        let Some((name, known)) = self.names.get_key_value(name) else { return false };
        self.view.insert(name.clone(), Asked { answer: now, used: known.used.clone() });
        true
    }

    fn answer(&self, name: &str) -> Option<Answer> {
        let name = self.names.get(name)?;
        match &name.state {
            State::Open => None,
            State::Denied => Some(Answer::Denied),
            State::Refused(reason) => Some(Answer::Refused(reason.clone())),
            State::Present { .. } => {
                let hosted = self.hosts.get(name.host.as_ref()?)?;
                hosted.built().cloned().map(Answer::Known)
            }
        }
    }
}

impl Answer {
    /// Whether it is the very same answer.
    fn is(&self, other: &Answer) -> bool {
        match (self, other) {
            (Answer::Known(a), Answer::Known(b)) => Arc::ptr_eq(a, b),
            (Answer::Denied, Answer::Denied) => true,
            (Answer::Refused(a), Answer::Refused(b)) => a == b,
            _ => false,
        }
    }
}

/// A workload's resource as it is kept: without secrets, which must not come to lie on a disk. With another version then,
/// so that it is sent again where it is asked for anew.
fn without_secrets(added: Added) -> Result<Resource, Unusable> {
    let Added { name, version, body } = added;
    let mut message = v1::Workload::decode(&*body)?;
    if message.credentials.is_empty() {
        return Ok(Resource { name, version, body: body.into() });
    }
    message.credentials.clear();
    Ok(Resource { name, version: String::new(), body: message.encode_to_vec().into() })
}

fn glob(host: &str) -> String {
    format!("{host}/*")
}

fn reason(unusable: Unusable) -> String {
    unusable.to_string()
}

fn kind_of(type_url: &str) -> &'static str {
    [type_url::SERVICE, type_url::ENDPOINT, type_url::WORKLOAD]
        .into_iter()
        .find(|kind| *kind == type_url)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
