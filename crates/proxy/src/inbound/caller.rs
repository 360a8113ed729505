//! Who is at the other end of an inbound connection, and which port of the application is meant.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use meltemi_telemetry::{Party, PeerLabels, RequestProtocol, SecurityPolicy, Word};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::authorize::Authorizer;
use crate::config::{Inbound, InboundPort};
use crate::finish::series::SeriesCache;
use crate::listen::announced::Meant;
use crate::listen::tls::{Opened, Proof};
use crate::outbound::decide::split_authority;
use crate::shared::Shared;

/// What holds for all requests of one inbound connection.
pub(crate) struct Caller {
    source: Party,
    meant: Option<Meant>,
    /// The element of `x-forwarded-client-cert` that describes the caller; `None` for one in plaintext.
    pub(crate) client_cert: Option<Vec<u8>>,
    /// What its requests are judged by.
    pub(crate) authorizer: Authorizer,
    /// The caller's certificate, DER, and the generation of our trust in which it was found good; `None` in plaintext.
    certificate: Option<Vec<u8>>,
    believed: Cell<u64>,
    /// The series that this connection counts in.
    pub(crate) series: RefCell<SeriesCache>,
}

impl Caller {
    pub(crate) fn new(shared: &Shared, opened: &Opened, authorizer: Authorizer) -> Caller {
        Caller {
            source: opened.source.clone(),
            meant: opened.meant.clone(),
            client_cert: opened.proof.as_ref().map(|proof| client_cert(shared, proof)),
            authorizer,
            certificate: opened.proof.as_ref().map(|proof| proof.certificate.clone()),
            // Whatever was said since the handshake is looked at with the first request.
            believed: Cell::new(u64::MAX),
            series: RefCell::default(),
        }
    }

    /// Whether the caller's certificate was revoked since its connection was taken.
    pub(crate) fn is_revoked(&self, shared: &Shared) -> bool {
        let generation = shared.identity.generation();
        if self.believed.get() == generation {
            return false;
        }
        let Some(certificate) = &self.certificate else { return false };
        let is_denied = shared.identity.is_denied(certificate);
        if !is_denied {
            self.believed.set(generation);
        }
        is_denied
    }

    /// Whether a port takes callers that come as this one did.
    pub(crate) fn is_taken_by(&self, port: &InboundPort) -> bool {
        match &self.certificate {
            Some(_) => port.mode.takes_mutual_tls(),
            None => port.mode.takes_plaintext(),
        }
    }

    /// Whether a port takes the requests of this caller. Those of connections that were opened by mutual TLS it goes on
    /// taking, whatever it asks of new ones.
    pub(crate) fn may_call(&self, port: &InboundPort) -> bool {
        self.certificate.is_some() || port.mode.takes_plaintext()
    }

    /// What tells the port's labels apart within this connection; `None` where its requests may mean several services.
    pub(crate) fn series_key(&self, port: Option<&InboundPort>) -> Option<u64> {
        self.meant.as_ref().and(port).map(|port| port.service_port.into())
    }

    /// The port that is meant: by the server name of TLS, else by the authority of the request, else the only one.
    pub(crate) fn find<'a>(
        &self,
        inbound: &'a Inbound,
        authority: &[u8],
    ) -> Option<&'a InboundPort> {
        // A caller that means another workload's service must not be served by this one.
        if let Some((host, port)) = &self.meant {
            return inbound.find(host, *port);
        }
        let by_authority = || {
            let (host, port) = split_authority(authority)?;
            let is_named = |it: &&InboundPort| {
                *it.host == *host
                    || it.host.strip_prefix(&*host).is_some_and(|rest| rest.starts_with('.'))
            };
            let port = port.unwrap_or(80);
            inbound.ports.iter().filter(is_named).find(|it| it.service_port == port)
        };
        by_authority().or_else(|| inbound.only_target())
    }

    /// The labels of requests to a port; without one those of an unknown service.
    pub(crate) fn labels(
        &self,
        shared: &Shared,
        port: Option<&InboundPort>,
        protocol: RequestProtocol,
    ) -> Arc<PeerLabels> {
        let word = |text: Option<&Arc<str>>| text.map(|text| Word::new(text)).unwrap_or_default();
        Arc::new(PeerLabels {
            source: self.source.clone(),
            destination: shared.local.party.clone(),
            service: word(port.map(|port| &port.host)),
            service_name: word(port.map(|port| &port.service_name)),
            service_namespace: word(port.map(|port| &port.service_namespace)),
            security: match &self.certificate {
                Some(_) => SecurityPolicy::MutualTls,
                None => SecurityPolicy::None,
            },
            protocol,
        })
    }
}

/// `By=OUR_ID;Hash=SHA256;Subject="";URI=CALLER`, as Istio's sidecars write it (Envoy's
/// `set_current_client_cert_details`: hash, subject, URI; an SVID of the mesh has an empty subject).
fn client_cert(shared: &Shared, proof: &Proof) -> Vec<u8> {
    let hash_of = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider);
    let hash = hash_of.map(|provider| hex(provider.hash(&proof.certificate).as_ref()));
    let (by, hash, uri) = (shared.identity.id(), hash.unwrap_or_default(), &proof.identity);
    format!("By={by};Hash={hash};Subject=\"\";URI={uri}").into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
        }
        text
    })
}
