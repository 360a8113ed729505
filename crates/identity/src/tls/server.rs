//! The called end: our SVID is shown, the client's is verified, and sessions may be resumed for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use meltemi_names::TrustDomain;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{DistinguishedName, Error, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{check_leaf, provider};
use crate::bundle::TrustBundle;
use crate::identity::Trust;

/// For how long a session ticket is accepted, seconds. Short, because a resumed session does not verify
/// the chain again.
const TICKET_LIFETIME: u32 = 3600;

/// Whether a client must show an SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// A handshake without a client certificate fails: a proxy's inbound port.
    Required,
    /// A client may come without, to ask for its first certificate; one that is shown must be good.
    Optional,
}

/// A configuration that shows our SVID and verifies the client's.
pub(crate) fn config(
    trust: &Trust,
    trust_domain: &TrustDomain,
    certificate: Arc<dyn ResolvesServerCert>,
    client_auth: ClientAuth,
    alpn: &[Vec<u8>],
) -> Result<Arc<ServerConfig>, Error> {
    let verifier = Arc::new(SvidVerifier::new(trust, trust_domain.clone(), client_auth)?);
    let mut config = ServerConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = alpn.to_vec();
    config.ticketer = Arc::new(Tickets { inner: rustls::crypto::aws_lc_rs::Ticketer::new()? });
    // One ticket is enough for a pool that opens one connection at a time; each holds the client's
    // chain and costs about a kilobyte on the wire.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Verifies a client's certificate: the SVID rules, then chain and time by webpki, with the roots of its own trust domain.
#[derive(Debug)]
struct SvidVerifier {
    /// For peers of our own trust domain.
    ours: Arc<dyn ClientCertVerifier>,
    /// For those of trust domains that have roots of their own.
    others: BTreeMap<TrustDomain, Arc<dyn ClientCertVerifier>>,
    trust: Trust,
    /// Our own.
    trust_domain: TrustDomain,
}

impl SvidVerifier {
    fn new(
        trust: &Trust,
        trust_domain: TrustDomain,
        client_auth: ClientAuth,
    ) -> Result<Self, Error> {
        let others = trust.federation.bundles().map(|(domain, bundle)| {
            Ok::<_, Error>((domain.clone(), chain_verifier(bundle, client_auth)?))
        });
        Ok(SvidVerifier {
            ours: chain_verifier(&trust.bundle, client_auth)?,
            others: others.collect::<Result<_, _>>()?,
            trust: trust.clone(),
            trust_domain,
        })
    }

    /// Who verifies the chains of a trust domain that is believed.
    fn chain(&self, domain: &TrustDomain) -> &Arc<dyn ClientCertVerifier> {
        match domain == &self.trust_domain {
            true => &self.ours,
            false => self.others.get(domain).unwrap_or(&self.ours),
        }
    }
}

fn chain_verifier(
    bundle: &TrustBundle,
    client_auth: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    // Without the roots' names as a hint the certificate request stays small; every client of the
    // mesh has one certificate only.
    let builder =
        WebPkiClientVerifier::builder_with_provider(bundle.store().clone(), provider().clone())
            .clear_root_hint_subjects();
    let builder = match client_auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| Error::General(error.to_string()))
}

impl ClientCertVerifier for SvidVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.ours.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let (id, _) = check_leaf(end_entity, &self.trust_domain, &self.trust)?;
        self.chain(id.trust_domain()).verify_client_cert(end_entity, intermediates, now)
    }

    verify_signatures!();
}

/// rustls's ticketer with a shorter life: the time of issue is sealed into the ticket, so that a client
/// which ignores the lifetime gains nothing. Each identity has its own ticketer with its own keys; tickets
/// die with the identity that made them.
#[derive(Debug)]
struct Tickets {
    inner: Arc<dyn ProducesTickets>,
}

impl Tickets {
    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut stamped = Vec::with_capacity(8 + plain.len());
        stamped.extend(now.to_be_bytes());
        stamped.extend(plain);
        self.inner.encrypt(&stamped)
    }

    fn open(&self, cipher: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut stamped = self.inner.decrypt(cipher)?;
        let issued = u64::from_be_bytes(*stamped.first_chunk()?);
        let fresh = now >= issued && now - issued <= u64::from(TICKET_LIFETIME);
        fresh.then(|| stamped.split_off(8))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, unix_now()?)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, unix_now()?)
    }
}

/// rustls gives a ticketer no time, so the clock is read here.
fn unix_now() -> Option<u64> {
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_accepted_for_its_lifetime_only() {
        let tickets = Tickets { inner: rustls::crypto::aws_lc_rs::Ticketer::new().unwrap() };
        let sealed = tickets.seal(b"session", 1000).unwrap();
        let end = 1000 + u64::from(TICKET_LIFETIME);
        assert_eq!(tickets.open(&sealed, 1000).unwrap(), b"session");
        assert_eq!(tickets.open(&sealed, end).unwrap(), b"session");
        assert_eq!(tickets.open(&sealed, end + 1), None);
        assert_eq!(tickets.open(&sealed, 999), None);
        assert_eq!(tickets.open(b"", 1000), None);
    }
}
