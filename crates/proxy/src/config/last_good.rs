//! What is in effect, as it is kept on disk: the resources themselves, so that a start from it goes through the very
//! same checks as an update of the control plane.

mod file;

pub(super) use file::LastGoodFile;

use bytes::Bytes;
use meltemi_wire::delta::client::{Added, Refused, Update};
use meltemi_wire::type_url;

use super::receive::Receiver;

/// A resource as it was received.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Resource {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// Its encoded message.
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) body: Bytes,
}

/// Everything that is in effect.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LastGood {
    /// The namespace in which names were read.
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    /// Services, by the names asked for.
    #[prost(message, repeated, tag = "2")]
    pub(super) services: Vec<Resource>,
    /// Endpoints, by `HOST/WORKLOAD`.
    #[prost(message, repeated, tag = "3")]
    pub(super) endpoints: Vec<Resource>,
    /// The hosts whose endpoints are all known, also those that have none.
    #[prost(string, repeated, tag = "4")]
    pub(super) listed: Vec<String>,
    /// Our own workload.
    #[prost(message, optional, tag = "5")]
    pub(super) own: Option<Resource>,
}

impl LastGood {
    /// What a receiver holds.
    pub(super) fn of(receiver: &Receiver, namespace: &str) -> LastGood {
        LastGood {
            namespace: namespace.into(),
            services: receiver.services().collect(),
            endpoints: receiver.endpoints().collect(),
            listed: receiver.listed().map(str::to_owned).collect(),
            own: receiver.own().cloned(),
        }
    }

    /// Gives it to a receiver that knows nothing yet, as if the control plane had just said it. Returns what cannot be
    /// used. Of our own workload only the one named `workload` is taken.
    pub(super) fn restore(self, receiver: &mut Receiver, workload: Option<&str>) -> Vec<Refused> {
        for service in &self.services {
            receiver.ask(&service.name);
        }
        let own = self.own.into_iter().filter(|own| Some(&*own.name) == workload);
        let listed = self.listed.iter().map(|host| format!("{host}/*")).collect();
        let updates = [
            update(type_url::SERVICE, self.services, Vec::new()),
            update(type_url::ENDPOINT, self.endpoints, listed),
            update(type_url::WORKLOAD, own.collect(), Vec::new()),
        ];
        updates.into_iter().flat_map(|update| receiver.update(update).refused).collect()
    }
}

fn update(kind: &str, resources: Vec<Resource>, removed: Vec<String>) -> Update {
    let added = resources.into_iter().map(|it| {
        let Resource { name, version, body } = it;
        Added { name, version, body: body.into() }
    });
    Update { type_url: kind.into(), added: added.collect(), removed }
}

#[cfg(test)]
mod tests;
