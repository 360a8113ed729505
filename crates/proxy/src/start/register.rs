//! The workload in the registry: entered at the start, told of as ready when its ports answer, taken out in order.

use std::sync::Arc;
use std::time::Duration;

use meltemi_names::Protocol;
use meltemi_wire::proto::meltemi::v1::{Drained, RegisteredWorkload, WorkloadPort};
use meltemi_wire::registration::{DrainError, GroupNews, Registrar};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::UNKNOWN_GROUP;
use super::options::WorkloadOptions;
use crate::probe::State;

/// Keeps the workload registered; dropped, it takes it out at once.
#[derive(Debug)]
pub(super) struct Registration {
    registrar: Arc<Mutex<Registrar>>,
    confirmed: watch::Receiver<bool>,
    /// What the registry says of the workload's group, or why it does not take the workload.
    news: watch::Receiver<GroupNews>,
    keeping: JoinHandle<()>,
}

impl Registration {
    pub(super) fn start(
        channel: Channel,
        workload: RegisteredWorkload,
        app: watch::Receiver<State>,
        group: watch::Sender<GroupNews>,
    ) -> Self {
        let ready = app.borrow().ready;
        let first = RegisteredWorkload { ready, ..workload.clone() };
        let news = group.subscribe();
        let start = move |workload| Registrar::start(channel.clone(), workload, group.clone());
        let registrar = Arc::new(Mutex::new(start(first)));
        let (told, confirmed) = watch::channel(false);
        let keeping = tokio::spawn(keep(registrar.clone(), start, workload, ready, app, told));
        Registration { registrar, confirmed, news, keeping }
    }

    /// True from the moment at which the control plane has confirmed the workload as ready.
    pub(super) fn confirmed(&self) -> watch::Receiver<bool> {
        self.confirmed.clone()
    }

    /// Why the registry does not take the workload, in its words, if it has said so.
    pub(super) fn refusal(&self) -> Option<String> {
        self.news.borrow().as_ref().err().filter(|why| *why != UNKNOWN_GROUP).cloned()
    }

    /// Takes the workload out and waits, `limit` at most, until nobody knows it any longer.
    pub(super) async fn drain(&self, limit: Duration) -> Result<Drained, String> {
        self.keeping.abort();
        let drained = self.registrar.lock().drain();
        match tokio::time::timeout(limit, drained).await {
            Ok(Ok(drained)) => Ok(drained),
            Ok(Err(DrainError::Unreachable(reason))) => {
                Err(DrainError::Unreachable(reason).to_string())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                Err(format!("not every proxy has acknowledged within {limit:?} (--drain-timeout)"))
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// Forwards the application's health. A first readiness is told by a new registration, because only a registration is
/// confirmed: from that confirmation on the registry is known to hold the workload as ready.
async fn keep(
    registrar: Arc<Mutex<Registrar>>,
    start: impl Fn(RegisteredWorkload) -> Registrar,
    workload: RegisteredWorkload,
    mut was_ready: bool,
    mut app: watch::Receiver<State>,
    told: watch::Sender<bool>,
) {
    let mut registered = registrar.lock().registered();
    loop {
        tokio::select! {
            changed = app.changed() => {
                if changed.is_err() {
                    return;
                }
                let State { ready, reason } = app.borrow_and_update().clone();
                if ready && !was_ready {
                    was_ready = true;
                    let workload = RegisteredWorkload { ready, ..workload.clone() };
                    let next = start(workload);
                    registered = next.registered();
                    *registrar.lock() = next;
                } else {
                    registrar.lock().set_ready(ready, &reason);
                }
            }
            confirmed = is_true(&mut registered), if was_ready && !*told.borrow() => {
                if !confirmed {
                    return;
                }
                told.send_replace(true);
            }
        }
    }
}

/// Waits until the value is true; false if nobody will change it any longer.
async fn is_true(value: &mut watch::Receiver<bool>) -> bool {
    value.wait_for(|value| *value).await.is_ok()
}

/// The workload as the registry is told of it.
pub(super) fn workload(options: &WorkloadOptions, inbound_port: u16) -> RegisteredWorkload {
    let ports = options.ports.iter().map(|port| WorkloadPort {
        number: port.number.into(),
        protocol: match port.protocol {
            Protocol::Auto => String::new(),
            protocol => protocol.as_str().into(),
        },
    });
    RegisteredWorkload {
        service: options.service.clone().unwrap_or_default(),
        namespace: options.namespace.clone(),
        service_account: options.service_account.clone(),
        name: options.name.clone(),
        group: options.group.clone().unwrap_or_default(),
        address: options.address.to_string(),
        address_is_default: options.address_is_default,
        inbound_port: inbound_port.into(),
        ports: ports.collect(),
        labels: options.labels.clone().into_iter().collect(),
        instance: format!("{:016x}", rand::random::<u64>()),
        ..RegisteredWorkload::default()
    }
}
