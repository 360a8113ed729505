//! A workload of this program with its own identity and data path: the mesh's own client, and each registered service.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use meltemi_proxy::config::Mesh as Known;
use meltemi_proxy::in_process::{Caller, Handlers};
use meltemi_proxy::start::{
    AccessLog, AppPort, CERTIFICATE_LIFE, Choices, Listen, ListenOptions, ProxyOptions, Running,
    WorkloadOptions, start_within,
};
use parking_lot::Mutex;

use crate::control::{Control, Entry, Token};
use crate::error::Error;

/// How long the control plane may take to let a workload in: who waits for it is a person, or a program's start.
pub(crate) const JOINING: Duration = Duration::from_secs(2);
/// How long it may take from there until callers find the workload.
const REGISTERING: Duration = Duration::from_secs(10);
/// How long callers in the same program may take to learn of it after that.
const ARRIVING: Duration = Duration::from_secs(5);
/// How long callers have to let go of a workload that is drained, and then its requests to finish.
const DRAINING: Duration = Duration::from_secs(30);

/// What all workloads of a program have in common.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) control: Control,
    pub(crate) token: Token,
    pub(crate) namespace: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) workers: usize,
}

/// Who a workload is.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) stem: String,
    pub(crate) service: Option<String>,
    pub(crate) service_account: String,
    pub(crate) address: IpAddr,
    pub(crate) ports: Vec<AppPort>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The workloads of a program, so that those that call learn of one that is registered.
#[derive(Default)]
pub(crate) struct Members(Mutex<Vec<Weak<Running>>>);

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members(..)")
    }
}

impl Members {
    /// Adds one, when calls of all others find it. One that is cut off from the control plane meanwhile is not waited for
    /// longer than [`ARRIVING`].
    pub(crate) async fn add(&self, member: &Member) {
        let running = &member.running;
        // What they know alone: one that leaves meanwhile is not held up.
        let others: Vec<Known> = {
            let mut members = self.0.lock();
            members.retain(|it| it.strong_count() > 0);
            let others = members.iter().filter_map(Weak::upgrade);
            let known = others.map(|it| it.mesh().clone()).collect();
            members.push(Arc::downgrade(running));
            known
        };
        let Some((namespace, name)) = member.name.split_once('/') else { return };
        let own = running.mesh().current().inbound().clone();
        let found = async {
            for other in others {
                other.finds(namespace, name, &own).await;
            }
        };
        if tokio::time::timeout(ARRIVING, found).await.is_err() {
            tracing::warn!(
                member.name,
                "registered, but not every caller in this program finds it yet"
            );
        }
    }
}

/// A running workload. Dropped, it tells what became of its last calls, and leaves the registry.
pub(crate) struct Member {
    running: Arc<Running>,
    caller: Caller,
    name: String,
    pid: u32,
    /// Whether all was told that is to be told.
    is_closed: AtomicBool,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Member {
    /// Joins the mesh, and waits until the workload is known there.
    pub(crate) async fn start(home: &Home, who: Who, handlers: Handlers) -> Result<Member, Error> {
        let name = fresh_name(&who.stem);
        let entry = Entry {
            control: home.control.clone(),
            token: home.token.clone(),
            namespace: home.namespace.clone(),
            service_account: who.service_account.clone(),
        };
        let options = ProxyOptions {
            workload: WorkloadOptions {
                name: name.clone(),
                namespace: home.namespace.clone(),
                service: who.service,
                group: None,
                service_account: who.service_account,
                address: who.address,
                address_is_default: false,
                ports: who.ports,
                labels: who.labels,
            },
            control: entry.shared(),
            workload_api: None,
            certificate_life: CERTIFICATE_LIFE,
            listen: ListenOptions {
                outbound: Listen::Nowhere,
                inbound: Listen::Exactly(SocketAddr::new(who.address, 0)),
                admin: Listen::Nowhere,
                metrics: Listen::Nowhere,
                health: Listen::Nowhere,
            },
            upstreams: Vec::new(),
            state_dir: home.state_dir.clone(),
            ephemeral: true,
            choices: Choices {
                workers: NonZeroUsize::new(home.workers),
                access_log: Some(AccessLog::Off),
                drain_timeout: Some(DRAINING),
            },
            allow_exec_probes: false,
        };
        let running = start_within(options, handlers, JOINING).await?;
        let caller = running.caller();
        let member = Member {
            running: Arc::new(running),
            caller,
            name: format!("{}/{name}", home.namespace),
            pid: std::process::id(),
            is_closed: AtomicBool::new(false),
        };
        member.registered().await?;
        Ok(member)
    }

    async fn registered(&self) -> Result<(), Error> {
        let mut ready = self.running.ready();
        let waiting = ready.wait_for(Result::is_ok);
        if let Ok(Ok(_)) = tokio::time::timeout(REGISTERING, waiting).await {
            return Ok(());
        }
        match self.running.refusal() {
            Some(reason) => Err(Error::Refused(reason)),
            None => {
                let reason = self.running.ready().borrow().clone().err().unwrap_or_default();
                Err(Error::NotRegistered(REGISTERING, reason))
            }
        }
    }

    /// `NAMESPACE/NAME`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the mesh reaches it.
    pub(crate) fn inbound(&self) -> SocketAddr {
        self.running.addresses().inbound
    }

    /// Who it is, as its certificate says.
    pub(crate) fn id(&self) -> String {
        self.running.identity().id().to_string()
    }

    /// Whether the control plane can be reached.
    pub(crate) fn is_connected(&self) -> bool {
        self.running.mesh().connection().borrow().is_connected()
    }

    /// What makes its calls.
    ///
    /// # Errors
    /// In a process that was forked.
    pub(crate) fn caller(&self) -> Result<&Caller, Error> {
        match self.pid == std::process::id() {
            true => Ok(&self.caller),
            false => Err(Error::Forked),
        }
    }

    /// Takes it out: callers let go of it, its last request finishes.
    pub(crate) async fn drain(&self) {
        self.running.drain(meltemi_proxy::Drain::Inbound).await;
        self.close().await;
    }

    /// Has the control plane know what became of its last calls, so that it can be dropped.
    pub(crate) async fn close(&self) {
        self.running.tell_last_outcomes().await;
        self.is_closed.store(true, Ordering::Release);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // Its threads and locks are the parent's: to end them here could wait for ever.
            std::mem::forget(self.running.clone());
            return;
        }
        if self.is_closed.load(Ordering::Acquire) {
            return;
        }
        // Without a runtime the last second's outcomes are lost, as with a process that is killed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let running = self.running.clone();
            runtime.spawn(async move { running.tell_last_outcomes().await });
        }
    }
}

/// How much of a stem a name has: a label of DNS has 63 letters.
const MAX_STEM: usize = 54;

/// `STEM-XXXXXXXX`: of this run only.
fn fresh_name(stem: &str) -> String {
    let stem: String = stem.chars().take(MAX_STEM).collect();
    format!("{}-{:08x}", stem.trim_end_matches('-'), rand::random::<u32>())
}
