//! Who may get a certificate for which SPIFFE id.

use meltemi_names::{SpiffeId, SpiffeIdError, TrustDomain};
use thiserror::Error;

use super::control_plane_id;
use crate::token::{Claims, Scope};

/// How the asker proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// By a join token that was verified.
    Token(Claims),
    /// By the certificate of the TLS connection: a renewal.
    Certificate(SpiffeId),
}

/// Why an asker does not get the certificate that it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// The token is for another workload.
    #[error(
        "the join token is for {bound}, but a certificate for {asked} was asked; use a token of that service account (`meltemi token create`)"
    )]
    OtherAccount {
        /// `NAMESPACE/SERVICE_ACCOUNT` of the token.
        bound: String,
        /// `NAMESPACE/SERVICE_ACCOUNT` asked for.
        asked: String,
    },
    /// A certificate renews its own identity only.
    #[error("{own} may renew its own certificate only, but one for {asked} was asked")]
    OtherWorkload {
        /// Who asks.
        own: Box<SpiffeId>,
        /// What was asked for.
        asked: Box<SpiffeId>,
    },
    /// Another mesh's id.
    #[error(
        "a certificate of trust domain {asked} was asked, but this CA signs for {own}; start the proxy with the control plane's trust domain"
    )]
    TrustDomain {
        /// The CA's trust domain.
        own: TrustDomain,
        /// The one asked for.
        asked: TrustDomain,
    },
    /// The control plane's identity is not given to anybody.
    #[error("{0} is the control plane's own identity, which is not given out")]
    ControlPlane(Box<SpiffeId>),
    /// A local admin's token says not which workload.
    #[error(
        "the token may be used for any workload, so the certificate request must name one (its URI name, spiffe://...)"
    )]
    Unnamed,
    /// The token's names make no id.
    #[error(transparent)]
    Id(#[from] SpiffeIdError),
}

/// Decides which SPIFFE id the caller gets. `asked` is the id that the certificate request names, if it
/// names one; it can only confirm what the caller may be, except for a local admin, who chooses.
pub fn admit(
    trust_domain: &TrustDomain,
    caller: &Caller,
    asked: Option<&SpiffeId>,
) -> Result<SpiffeId, AdmitError> {
    if let Some(asked) = asked.filter(|asked| asked.trust_domain() != trust_domain) {
        return Err(AdmitError::TrustDomain {
            own: trust_domain.clone(),
            asked: asked.trust_domain().clone(),
        });
    }
    let id = match caller {
        Caller::Certificate(own) => own_id(trust_domain, own, asked)?,
        Caller::Token(claims) => match claims.scope {
            Scope::Workload => bound_id(trust_domain, claims, asked)?,
            Scope::LocalAdmin => asked.ok_or(AdmitError::Unnamed)?.clone(),
        },
    };
    if id == control_plane_id(trust_domain)? {
        return Err(AdmitError::ControlPlane(Box::new(id)));
    }
    Ok(id)
}

fn own_id(
    trust_domain: &TrustDomain,
    own: &SpiffeId,
    asked: Option<&SpiffeId>,
) -> Result<SpiffeId, AdmitError> {
    if own.trust_domain() != trust_domain {
        return Err(AdmitError::TrustDomain {
            own: trust_domain.clone(),
            asked: own.trust_domain().clone(),
        });
    }
    match asked {
        Some(asked) if asked != own => Err(AdmitError::OtherWorkload {
            own: Box::new(own.clone()),
            asked: Box::new(asked.clone()),
        }),
        _ => Ok(own.clone()),
    }
}

fn bound_id(
    trust_domain: &TrustDomain,
    claims: &Claims,
    asked: Option<&SpiffeId>,
) -> Result<SpiffeId, AdmitError> {
    let bound = SpiffeId::new(trust_domain.clone(), &claims.namespace, &claims.service_account)?;
    match asked {
        Some(asked) if *asked != bound => Err(AdmitError::OtherAccount {
            bound: claims.workload(),
            asked: format!("{}/{}", asked.namespace(), asked.service_account()),
        }),
        _ => Ok(bound),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn id(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    fn claims(scope: Scope) -> Caller {
        let (namespace, service_account) = match scope {
            Scope::Workload => ("default".to_owned(), "reviews".to_owned()),
            Scope::LocalAdmin => Default::default(),
        };
        let (id, expires) = (String::new(), SystemTime::now());
        Caller::Token(Claims { scope, namespace, service_account, id, expires, single_use: false })
    }

    #[test]
    fn everybody_gets_the_identity_that_is_theirs_and_no_other() {
        let reviews = "spiffe://cluster.local/ns/default/sa/reviews";
        let ratings = "spiffe://cluster.local/ns/default/sa/ratings";
        let foreign = "spiffe://other.mesh/ns/default/sa/reviews";
        let istiod = "spiffe://cluster.local/ns/istio-system/sa/istiod";
        let (token, admin) = (claims(Scope::Workload), claims(Scope::LocalAdmin));
        let peer = Caller::Certificate(id(reviews));
        for (caller, asked, outcome) in [
            (&token, None, Ok(reviews)),
            (&token, Some(reviews), Ok(reviews)),
            (
                &token,
                Some(ratings),
                Err(
                    "the join token is for default/reviews, but a certificate for default/ratings was asked",
                ),
            ),
            (&token, Some(foreign), Err("trust domain other.mesh was asked")),
            (&peer, None, Ok(reviews)),
            (&peer, Some(reviews), Ok(reviews)),
            (&peer, Some(ratings), Err("may renew its own certificate only")),
            (&Caller::Certificate(id(foreign)), None, Err("trust domain other.mesh")),
            (&Caller::Certificate(id(istiod)), None, Err("control plane's own identity")),
            (&admin, Some(ratings), Ok(ratings)),
            (&admin, None, Err("must name one")),
            (&admin, Some(istiod), Err("control plane's own identity")),
            (&admin, Some(foreign), Err("trust domain other.mesh")),
        ] {
            let asked_id = asked.map(id);
            let admitted = admit(&"cluster.local".parse().unwrap(), caller, asked_id.as_ref());
            match (admitted, outcome) {
                (Ok(found), Ok(expected)) => assert_eq!(found, id(expected)),
                (Err(found), Err(part)) => {
                    assert!(found.to_string().contains(part), "{found} lacks `{part}`");
                }
                (found, _) => panic!("{caller:?} asked {asked:?}: {found:?}"),
            }
        }
    }
}
