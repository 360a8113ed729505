//! TLS with servers outside of the mesh: configurations made of files, and made anew when the files change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meltemi_identity::tls::{OriginationSettings, Pem};
use meltemi_policy::destination::rule::{ClientTls, ClientTlsMode};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::clock;
use crate::listen::alpn::Inner;

/// For how long files are taken for unchanged without a look.
const TRUSTED: Duration = Duration::from_secs(1);

/// The TLS that a rule's modes SIMPLE and MUTUAL ask for.
#[derive(Debug)]
pub(crate) struct Outside {
    settings: OriginationSettings,
    /// The server that is asked for; `None` where only the connection's own destination says it.
    pub(crate) name: Option<ServerName<'static>>,
    /// Asked when a connection is opened, not by requests.
    made: Mutex<Made>,
}

/// What was made of the files.
#[derive(Debug)]
struct Made {
    /// When the files were last looked at, by this process's clock.
    looked: Duration,
    stamps: Vec<Option<Stamp>>,
    /// One for each kind of [`Inner`], or why there are none.
    configs: Result<Vec<Arc<ClientConfig>>, Arc<str>>,
}

/// By what a changed file is known.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(in crate::config) fn of(path: &Path) -> Option<Stamp> {
        let found: Metadata = std::fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Stamp { inode: found.ino(), size: found.size(), changed })
    }
}

/// What a rule that names files says, or why it cannot be followed.
pub(super) fn settings(rule: &ClientTls, names: &[String]) -> Result<OriginationSettings, String> {
    let file = |path: &str| (!path.is_empty()).then(|| Pem::File(path.into()));
    let pair = file(&rule.client_certificate).zip(file(&rule.private_key));
    if rule.mode == ClientTlsMode::Mutual && pair.is_none() {
        return Err("mode MUTUAL needs both clientCertificate and privateKey".into());
    }
    Ok(OriginationSettings {
        client_certificate: pair.filter(|_| rule.mode == ClientTlsMode::Mutual),
        ca_certificates: file(&rule.ca_certificates),
        ca_crl: file(&rule.ca_crl),
        subject_alt_names: names.to_vec(),
        insecure_skip_verify: rule.insecure_skip_verify,
    })
}

impl Made {
    fn of(settings: &OriginationSettings) -> Made {
        // The stamps first: what is written meanwhile is seen at the next look.
        let stamps = stamps(settings);
        let alpn = [vec![b"http/1.1".to_vec()], vec![b"h2".to_vec()], Vec::new()];
        let configs = settings.client_configs(&alpn).map_err(|error| error.to_string().into());
        Made { looked: clock::now(), stamps, configs }
    }
}

fn stamps(settings: &OriginationSettings) -> Vec<Option<Stamp>> {
    settings.files().map(Stamp::of).collect()
}

impl Outside {
    pub(super) fn new(settings: OriginationSettings, name: Option<ServerName<'static>>) -> Outside {
        let made = Made::of(&settings);
        if let Err(error) = &made.configs {
            tracing::warn!(error = &**error, "calls by a rule's TLS will fail");
        }
        Outside { settings, name, made: Mutex::new(made) }
    }

    /// The configuration for what is spoken inside, or why there is none. Files that are as before are not read again.
    pub(crate) fn config(
        &self,
        inner: Inner,
        now: Duration,
    ) -> Result<Arc<ClientConfig>, Arc<str>> {
        let mut made = self.made.lock();
        // Where it failed, whoever mends it wants to see it at once.
        let is_due = made.configs.is_err() || now.saturating_sub(made.looked) >= TRUSTED;
        if is_due {
            made.looked = now;
            if stamps(&self.settings) != made.stamps {
                tracing::info!("certificate files of a rule's TLS have changed and are read again");
                *made = Made::of(&self.settings);
            }
        }
        match &made.configs {
            Ok(configs) => Ok(configs[inner.client()].clone()),
            Err(error) => Err(error.clone()),
        }
    }
}
