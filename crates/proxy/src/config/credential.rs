//! Secrets that rules of TLS name, as the control plane sends them to us alone. They live in memory only.

use std::fmt;

use meltemi_identity::tls::{OriginationSettings, Pem};
use meltemi_policy::destination::rule::{ClientTls, ClientTlsMode};
use meltemi_wire::proto::meltemi::v1;

use super::Own;

/// PEM texts of a secret, empty for what it has none of. Shown without them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential(v1::Credential);

impl From<&v1::Credential> for Credential {
    fn from(message: &v1::Credential) -> Self {
        Credential(message.clone())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

impl Credential {
    /// The one that a rule names, if it names one; or why it may not have it.
    pub(super) fn of(rule: &ClientTls, own: &Own) -> Option<Result<Credential, String>> {
        let name = &rule.credential_name;
        let needs = matches!(rule.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
        if name.is_empty() || !needs {
            return None;
        }
        if rule.is_credential_of_gateways {
            return Some(Err(format!(
                "credentialName `{name}` is for gateways alone in a rule without workloadSelector; give the rule one, or name files in caCertificates, clientCertificate and privateKey"
            )));
        }
        Some(own.credentials.get(name).cloned().ok_or_else(|| {
            format!(
                "credentialName `{name}`: the control plane has sent no such Secret of the namespace {}; it must hold ca.crt, or tls.crt and tls.key, and not be refused (`meltemi status`)",
                own.namespace
            )
        }))
    }

    /// The TLS that a rule asks for with it.
    pub(super) fn settings(
        &self,
        rule: &ClientTls,
        names: &[String],
    ) -> Result<OriginationSettings, String> {
        let name = &rule.credential_name;
        let pem = |key: &str, text: &str| {
            let name = format!("{key} of the Secret `{name}`");
            (!text.is_empty()).then(|| Pem::Text { name: name.into(), text: text.into() })
        };
        let Credential(it) = self;
        let pair = pem("tls.crt", &it.certificate).zip(pem("tls.key", &it.private_key));
        if rule.mode == ClientTlsMode::Mutual && pair.is_none() {
            return Err(format!(
                "mode MUTUAL needs both tls.crt and tls.key in the Secret of credentialName `{name}`"
            ));
        }
        Ok(OriginationSettings {
            client_certificate: pair.filter(|_| rule.mode == ClientTlsMode::Mutual),
            ca_certificates: pem("ca.crt", &it.ca_certificates),
            ca_crl: pem("ca.crl", &it.ca_crl),
            subject_alt_names: names.to_vec(),
            insecure_skip_verify: rule.insecure_skip_verify,
        })
    }
}
