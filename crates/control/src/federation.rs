//! Other trust domains that the mesh believes, out of its settings: roots that were given (`caCertificates[].pem`), and those
//! that are fetched from SPIFFE bundle endpoints, again and again, as the others change theirs.

mod kept;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meltemi_api::mesh_config::CaCertificate;
use meltemi_identity::{Federation, SpiffeBundle, TrustBundle};
use meltemi_names::TrustDomain;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::error::ControlError;
use crate::key_sets::{Fetcher, JwksAllow};
use crate::options::Options;

/// How long a publisher may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often a publisher is asked that does not say it (SPIFFE Trust Domain and Bundle, section 4.1.2, on short intervals).
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// No publisher is asked more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// The wait after a first failure; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the settings say of other trust domains, and what was fetched.
#[derive(Debug)]
pub(crate) struct Federated {
    own: TrustDomain,
    aliases: Vec<TrustDomain>,
    sources: Vec<Source>,
    file: PathBuf,
    changed: Notify,
}

/// An entry of `caCertificates`.
#[derive(Debug)]
struct Source {
    /// Ours where there are none.
    domains: Vec<TrustDomain>,
    /// Who is asked; `None` where the roots were given.
    url: Option<(String, Fetcher)>,
    /// `None` until they were fetched, and where the domain has taken all of them back.
    roots: Mutex<Option<TrustBundle>>,
}

impl Federated {
    /// Reads the settings, and what was fetched before.
    pub(crate) fn open(options: &Options, state_dir: &Path) -> Result<Self, ControlError> {
        let settings = &options.mesh_config;
        let file = kept::path(state_dir);
        let known = kept::read(&file).unwrap_or_else(|reason| {
            tracing::warn!(path = %file.display(), reason, "SPIFFE bundles of before cannot be used");
            BTreeMap::new()
        });
        let sources = settings.ca_certificates.iter().enumerate().map(|(index, given)| {
            let wrong = |reason: String| ControlError::CaCertificate { index, reason };
            Source::read(given, &known).map_err(wrong)
        });
        let aliases = domains(&settings.trust_domain_aliases);
        Ok(Federated {
            own: options.trust_domain.clone(),
            aliases: aliases.map_err(|reason| ControlError::TrustDomainAlias { reason })?,
            sources: sources.collect::<Result<_, _>>()?,
            file,
            changed: Notify::new(),
        })
    }

    /// Further names of our own trust domain.
    pub(crate) fn aliases(&self) -> &[TrustDomain] {
        &self.aliases
    }

    /// The CA's roots, and those after them that the settings have for our own trust domain.
    pub(crate) fn beside(&self, ours: TrustBundle) -> TrustBundle {
        let of_ours = |it: &&Source| it.domains.is_empty() || it.domains.contains(&self.own);
        self.sources.iter().filter(of_ours).fold(ours, |ours, source| match &*source.roots.lock() {
            // All were good as roots before, and so they are together.
            Some(further) => ours.with(further).unwrap_or(ours),
            None => ours,
        })
    }

    /// Who is believed beside members, as far as it is known now. Several sources of one trust domain count together.
    pub(crate) fn federation(&self) -> Federation {
        let mut bundles: BTreeMap<TrustDomain, TrustBundle> = BTreeMap::new();
        for source in &self.sources {
            let Some(roots) = source.roots.lock().clone() else { continue };
            for domain in source.domains.iter().filter(|domain| **domain != self.own) {
                let before = bundles.remove(domain);
                let all = before.map(|before| before.with(&roots).unwrap_or(before));
                bundles.insert(domain.clone(), all.unwrap_or_else(|| roots.clone()));
            }
        }
        let aliases = self.aliases.iter().filter(|alias| **alias != self.own);
        Federation::new(aliases.cloned(), bundles)
    }

    /// Comes back when something else is believed than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Fetches what is to be fetched, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut all = JoinSet::new();
        for index in 0..self.sources.len() {
            let own = self.clone();
            all.spawn(async move { own.follow(index).await });
        }
        while all.join_next().await.is_some() {}
        std::future::pending().await
    }

    /// Asks one publisher again and again.
    async fn follow(&self, index: usize) {
        let source = &self.sources[index];
        let Some((url, fetcher)) = &source.url else { return };
        let mut retry = FIRST_WAIT;
        loop {
            let wait = match fetch(fetcher, url).await {
                Ok(bundle) => {
                    retry = FIRST_WAIT;
                    let refresh = bundle.refresh.unwrap_or(REFRESH).max(SHORTEST);
                    if source.take(url, bundle.roots) {
                        self.changed.notify_one();
                        self.keep().await;
                    }
                    // Not all control planes at the same moment.
                    refresh.mul_f64(rand::random_range(0.9..=1.0))
                }
                Err(reason) => {
                    tracing::warn!(%url, reason, "a SPIFFE bundle cannot be fetched; what was known of it stays in use");
                    let wait = retry;
                    retry = (retry * 2).min(LONGEST_WAIT);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn keep(&self) {
        let known: BTreeMap<String, String> =
            self.sources.iter().filter_map(Source::fetched).collect();
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || kept::write(&file, &known)).await;
        if let Ok(Err(error)) = written {
            let path = self.file.display();
            tracing::warn!(%path, %error, "SPIFFE bundles could not be kept; a restart would not know them");
        }
    }
}

impl Source {
    fn read(given: &CaCertificate, known: &BTreeMap<String, TrustBundle>) -> Result<Self, String> {
        let domains = domains(&given.trust_domains)?;
        if given.spiffe_bundle_url.is_empty() {
            let roots = TrustBundle::from_pem(&given.pem).map_err(|error| error.to_string())?;
            return Ok(Source { domains, url: None, roots: Mutex::new(Some(roots)) });
        }
        let url = given.spiffe_bundle_url.clone();
        let uri: http::Uri = url.parse().map_err(|error| format!("spiffeBundleUrl: {error}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        // Whoever starts the control plane has named it: it need not be a public address.
        let fetcher = Fetcher::new(&[JwksAllow::Host(host)]);
        let roots = Mutex::new(known.get(&url).cloned());
        Ok(Source { domains, url: Some((url, fetcher)), roots })
    }

    /// Whether these are others than before.
    fn take(&self, url: &str, roots: Option<TrustBundle>) -> bool {
        let mut before = self.roots.lock();
        if *before == roots {
            return false;
        }
        match &roots {
            Some(roots) => {
                let roots = roots.roots().len();
                tracing::info!(%url, roots, "a SPIFFE bundle was fetched");
            }
            None => {
                tracing::warn!(%url, "the trust domain has taken all of its roots back: nobody of it is believed")
            }
        }
        *before = roots;
        true
    }

    /// What is kept of it.
    fn fetched(&self) -> Option<(String, String)> {
        let (url, _) = self.url.as_ref()?;
        let roots = self.roots.lock();
        Some((url.clone(), roots.as_ref()?.to_pem()))
    }
}

fn domains(names: &[String]) -> Result<Vec<TrustDomain>, String> {
    let read = names.iter().map(|name| name.parse::<TrustDomain>().map_err(|it| it.to_string()));
    read.collect()
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<SpiffeBundle, String> {
    let text = match tokio::time::timeout(TIMEOUT, fetcher.get(url)).await {
        Ok(text) => text.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("there was no answer within {TIMEOUT:?}")),
    };
    SpiffeBundle::parse(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
