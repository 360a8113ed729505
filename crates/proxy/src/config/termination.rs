//! TLS with callers outside of the mesh, by a Sidecar resource's ingress listener: the configuration made of files, and made
//! anew when the files change.

use std::sync::Arc;
use std::time::Duration;

use meltemi_identity::tls::{CallerCertificate, Pem, TerminationSettings};
use meltemi_policy::server_tls::{ServerTls, ServerTlsMode};
use parking_lot::Mutex;
use rustls::ServerConfig;

use super::origination::Stamp;
use crate::clock;

/// For how long files are taken for unchanged without a look.
const TRUSTED: Duration = Duration::from_secs(1);

/// The TLS that a listener asks for. Two are the same if they were told the same.
#[derive(Debug)]
pub struct Termination {
    settings: TerminationSettings,
    alpn: Vec<Vec<u8>>,
    /// Asked when a connection comes in, not by requests.
    made: Mutex<Made>,
}

#[derive(Debug)]
struct Made {
    /// When the files were last looked at, by this process's clock.
    looked: Duration,
    stamps: Vec<Option<Stamp>>,
    /// Or why there is none.
    config: Result<Arc<ServerConfig>, Arc<str>>,
}

impl PartialEq for Termination {
    fn eq(&self, other: &Termination) -> bool {
        self.settings == other.settings && self.alpn == other.alpn
    }
}

impl Eq for Termination {}

impl Made {
    fn of(settings: &TerminationSettings, alpn: &[Vec<u8>]) -> Made {
        // The stamps first: what is written meanwhile is seen at the next look.
        let stamps = stamps(settings);
        let config = settings.server_config(alpn).map_err(|error| error.to_string().into());
        Made { looked: clock::now(), stamps, config }
    }
}

fn stamps(settings: &TerminationSettings) -> Vec<Option<Stamp>> {
    settings.files().map(Stamp::of).collect()
}

impl Termination {
    /// What a listener says. `is_http`: callers may choose among versions of HTTP.
    pub(super) fn new(rule: &ServerTls, is_http: bool) -> Arc<Termination> {
        let file = |path: &str| (!path.is_empty()).then(|| Pem::File(path.into()));
        let pairs = rule.certificates.iter();
        let pairs = pairs.filter_map(|it| file(&it.certificate).zip(file(&it.private_key)));
        let settings = TerminationSettings {
            certificates: pairs.collect(),
            caller: match rule.mode {
                ServerTlsMode::Simple => CallerCertificate::None,
                ServerTlsMode::OptionalMutual => CallerCertificate::Optional,
                ServerTlsMode::Mutual => CallerCertificate::Required,
            },
            ca_certificates: file(&rule.ca_certificates),
            ca_crl: file(&rule.ca_crl),
            subject_alt_names: rule.subject_alt_names.clone(),
            fingerprints: rule.fingerprints.clone(),
            versions: [!rule.without_tls12, !rule.without_tls13],
            cipher_suites: rule.cipher_suites.clone(),
        };
        let alpn = match is_http {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => Vec::new(),
        };
        let made = Made::of(&settings, &alpn);
        if let Err(error) = &made.config {
            tracing::warn!(error = &**error, "an ingress listener's TLS cannot be spoken");
        }
        Arc::new(Termination { settings, alpn, made: Mutex::new(made) })
    }

    /// The configuration, or why there is none. Files that are as before are not read again.
    pub(crate) fn config(&self, now: Duration) -> Result<Arc<ServerConfig>, Arc<str>> {
        let mut made = self.made.lock();
        // Where it failed, whoever mends it wants to see it at once.
        let is_due = made.config.is_err() || now.saturating_sub(made.looked) >= TRUSTED;
        if is_due {
            made.looked = now;
            if stamps(&self.settings) != made.stamps {
                tracing::info!(
                    "certificate files of an ingress listener have changed and are read again"
                );
                *made = Made::of(&self.settings, &self.alpn);
            }
        }
        made.config.clone()
    }
}
