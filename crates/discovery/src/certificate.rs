//! Istio's certificate service: who asks is proven by a join token or by the certificate to be renewed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_audit::{AuditLog, Event, ObjectRef, User};
use meltemi_identity::ca::{Authority, Caller, SignError, admit};
use meltemi_identity::csr::Request as Csr;
use meltemi_identity::serial_of_pem;
use meltemi_identity::token::{Issuer, SpentTokens, TokenError};
use meltemi_names::SpiffeId;
use meltemi_wire::proto::istio::v1::auth::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use meltemi_wire::proto::istio::v1::auth::{IstioCertificateRequest, IstioCertificateResponse};
use meltemi_wire::transport::Peer;
use tonic::{Request, Response, Status};

use crate::metrics::Metrics;

/// What is known of join tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Who made them.
    pub issuer: Issuer,
    /// Which of those for a single use were used.
    pub spent: Arc<SpentTokens>,
}

/// Signs certificates of workloads.
#[derive(Debug, Clone)]
pub struct CertificateService {
    authority: Arc<Authority>,
    tokens: Tokens,
    metrics: Arc<Metrics>,
    audit: AuditLog,
}

impl CertificateService {
    /// The service as tonic's router takes it.
    pub fn server(
        authority: Arc<Authority>,
        tokens: Tokens,
        metrics: Arc<Metrics>,
        audit: AuditLog,
    ) -> IstioCertificateServiceServer<Self> {
        IstioCertificateServiceServer::new(CertificateService { authority, tokens, metrics, audit })
    }

    fn sign(
        &self,
        request: &Request<IstioCertificateRequest>,
        now: SystemTime,
        event: &mut Event,
    ) -> Result<Vec<String>, Status> {
        let caller = self.caller(request, now)?;
        event.user = user(&caller);
        let message = request.get_ref();
        let csr = Csr::from_pem(&message.csr)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let id = admit(self.authority.trust_domain(), &caller, csr.id().as_ref())
            .map_err(|error| Status::permission_denied(error.to_string()))?;
        let ttl = Duration::from_secs(message.validity_duration.try_into().unwrap_or_default());
        event.object = Some(certificate_of(&id));
        if let Caller::Token(claims) = &caller {
            self.tokens.spent.spend(claims).map_err(|error| match error {
                TokenError::Unwritten(_) => Status::unavailable(error.to_string()),
                error => Status::unauthenticated(error.to_string()),
            })?;
        }
        let chain =
            self.authority.sign(&message.csr, &id, ttl, now).map_err(|error| refusal(&error))?;
        let serial = chain.first().and_then(|leaf| serial_of_pem(leaf)).unwrap_or_default();
        tracing::info!(
            target: "audit", %id, by = %describe(&caller), %serial, "certificate signed"
        );
        event.message = format!("serial {serial}");
        Ok(chain)
    }

    /// Who asks. A token goes before a certificate: a proxy that shows one wants to be what the token says.
    fn caller(
        &self,
        request: &Request<IstioCertificateRequest>,
        now: SystemTime,
    ) -> Result<Caller, Status> {
        if let Some(header) = request.metadata().get("authorization") {
            let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
            let token = token.ok_or_else(|| {
                Status::unauthenticated("the authorization header is not `Bearer TOKEN`")
            })?;
            let claims = self.tokens.issuer.verify(token.trim(), now);
            return claims
                .map(Caller::Token)
                .map_err(|error| Status::unauthenticated(error.to_string()));
        }
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.as_deref());
        peer.map(|id| Caller::Certificate(id.clone())).ok_or_else(|| {
            Status::unauthenticated(
                "a certificate needs a join token (`meltemi token create`) or the certificate to be renewed",
            )
        })
    }
}

#[tonic::async_trait]
impl IstioCertificateService for CertificateService {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
        let mut event = Event {
            verb: "sign".to_owned(),
            uri: "/istio.v1.auth.IstioCertificateService/CreateCertificate".to_owned(),
            source: peer.map(|address| address.ip()),
            code: 201,
            ..Event::default()
        };
        let signed = self.sign(&request, SystemTime::now(), &mut event);
        if let Err(status) = &signed {
            (event.code, event.message) = (403, status.message().to_owned());
            Metrics::count(&self.metrics.certificates_refused);
            tracing::warn!(
                target: "audit", ?peer, reason = status.message(), "certificate refused"
            );
        } else {
            Metrics::count(&self.metrics.certificates_signed);
        }
        match event.user.username.is_empty() {
            false => self.audit.record(&event),
            true => self.audit.record_stranger(event),
        }
        signed.map(|cert_chain| Response::new(IstioCertificateResponse { cert_chain }))
    }
}

/// Who asks, for the audit log.
fn user(caller: &Caller) -> User {
    let username = match caller {
        Caller::Token(claims) => format!("join:{}", claims.workload()),
        Caller::Certificate(id) => id.to_string(),
    };
    User { username, groups: Vec::new(), credential: describe(caller) }
}

/// The certificate, named by its id.
fn certificate_of(id: &SpiffeId) -> ObjectRef {
    ObjectRef {
        resource: "certificates".to_owned(),
        namespace: id.namespace().to_string(),
        name: id.to_string(),
        ..ObjectRef::default()
    }
}

/// The caller, for the log: a token by its id, never by itself.
fn describe(caller: &Caller) -> String {
    match caller {
        Caller::Token(claims) => format!("token {}", claims.id),
        Caller::Certificate(id) => format!("certificate of {id}"),
    }
}

fn refusal(error: &SignError) -> Status {
    match error {
        SignError::Failed(_) | SignError::Expired => Status::internal(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}
