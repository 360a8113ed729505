//! The authority: its keys and certificates on disk, and the signing with them.

mod doubts;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use meltemi_names::{SpiffeId, TrustDomain};
use rcgen::{Issuer, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::sign::{self, Addresses, SignError};
use super::{control_plane_id, root, rotation};
use crate::bundle::{BundleError, TrustBundle, certificate_pem, pem_reason};
use crate::csr::Request;
use crate::key::{self, KeyError, KeyPair};
use crate::private_file::{self, FileError};
use crate::svid::{Svid, SvidError};
use crate::tls::{self, system_time};

pub(super) const ROOT_KEY: &str = "root-key.pem";
pub(super) const ROOT_CERT: &str = "root-cert.pem";
const CA_KEY: &str = "ca-key.pem";
const CA_CERT: &str = "ca-cert.pem";
const CERT_CHAIN: &str = "cert-chain.pem";

/// DNS names by which standard clients (Envoy, gRPC) reach a control plane.
const CONTROL_PLANE_HOSTS: [&str; 4] =
    ["localhost", "istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local", "istiod"];

/// Why the CA cannot work.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file is missing, unreadable, unwritable or exposed.
    #[error("the CA's files: {0}")]
    File(#[from] FileError),
    /// A key is unreadable.
    #[error("the CA's key in {path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// The root certificates are unreadable.
    #[error("the CA's roots in {path}: {source}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BundleError,
    },
    /// A certificate is unreadable or unfit.
    #[error("the CA's certificate in {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key or certificate could not be made.
    #[error("the CA's certificates could not be made: {0}")]
    Make(String),
    /// What the CA signs would not be accepted by its own trust bundle.
    #[error(
        "a certificate signed with the files in {dir} does not verify against {ROOT_CERT}: {reason}; check that ca-cert.pem is valid now, may sign, and that cert-chain.pem leads to root-cert.pem"
    )]
    Unverified {
        /// Where the files are.
        dir: PathBuf,
        /// What the verifier said.
        reason: String,
    },
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        AuthorityError::Make(error.to_string())
    }
}

/// One generation of what signing needs.
pub(super) struct Signing {
    pub(super) issuer: Issuer<'static, rcgen::KeyPair>,
    /// The certificates above the leaf, PEM, the signing one first and the root last.
    pub(super) chain: Vec<String>,
    not_before: SystemTime,
    pub(super) not_after: SystemTime,
    bundle: TrustBundle,
    /// Whether the signing certificate is of the first root; it is not where a replacement of the root was cut short.
    is_of_first_root: bool,
}

/// The certificate authority of one trust domain. Signing needs no lock; the intermediate can be renewed
/// while others sign.
pub struct Authority {
    trust_domain: TrustDomain,
    dir: PathBuf,
    /// Whether the files are ours, so that a new intermediate may be made.
    own: bool,
    signing: ArcSwap<Signing>,
}

impl Authority {
    /// Opens the CA kept in `dir`; makes root and intermediate where they are missing, and a new
    /// intermediate when 80 % of its life are over. Directory mode 0700, key files 0600; keys that others
    /// can read are refused. Without `root-key.pem` (kept elsewhere) the CA works until its intermediate
    /// ends.
    pub fn open_or_create(
        dir: &Path,
        trust_domain: TrustDomain,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        private_file::make_dir(dir)?;
        refuse_exposed_keys(dir)?;
        make_root_if_missing(dir, &trust_domain, now)?;
        rotation::adopt_next_key(dir)?;
        let current = load(dir, Keys::MustBePrivate);
        let signing = match current {
            Ok(signing) if !is_due(&signing, now) => signing,
            current => match make_intermediate(dir, &trust_domain, now) {
                Ok(()) => load(dir, Keys::MustBePrivate)?,
                // An old but living intermediate serves on where the root key is kept elsewhere.
                Err(error) => match current {
                    Ok(signing) if signing.not_after > now && is_missing(&error) => signing,
                    _ => return Err(error),
                },
            },
        };
        doubts::warn(dir, &trust_domain, &signing);
        Self::checked(dir, trust_domain, true, signing, now)
    }

    /// Takes a CA from files in the layout of Istio's `cacerts` secret: `ca-cert.pem`, `ca-key.pem`,
    /// `root-cert.pem`, and `cert-chain.pem` where there are intermediates. The files are not touched. A key
    /// that others can read is accepted with a warning, because mounted secrets are often so.
    pub fn from_cacerts(
        dir: &Path,
        trust_domain: TrustDomain,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let path = dir.join(CA_KEY);
        if !private_file::is_private(&path)? {
            tracing::warn!(path = %path.display(), "others can read the CA's private key; `chmod 600` it if it is not a mounted secret");
        }
        let signing = load(dir, Keys::MayBeShared)?;
        Self::checked(dir, trust_domain, false, signing, now)
    }

    /// The trust domain that it signs for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The roots that members of the mesh trust.
    pub fn bundle(&self) -> TrustBundle {
        self.signing.load().bundle.clone()
    }

    /// Until when the signing certificate is valid; no leaf outlives it.
    pub fn not_after(&self) -> SystemTime {
        self.signing.load().not_after
    }

    /// Signs a PEM request for `id`, which the caller has proven to be (see [`super::admit`]). Returns
    /// the PEM chain, leaf first, root last. Of the request only the public key is used; a request that
    /// names anything but `id` is refused. `ttl` is brought between 5 minutes and 30 days, zero means
    /// 24 hours, and no certificate outlives the CA's.
    pub fn sign(
        &self,
        csr_pem: &str,
        id: &SpiffeId,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Vec<String>, SignError> {
        if *id.trust_domain() != self.trust_domain {
            return Err(SignError::TrustDomain { id: Box::new(id.clone()) });
        }
        let request = Request::from_pem(csr_pem)?;
        sign::check_names(&request, id)?;
        sign::sign(&self.signing.load(), request.key(), id, Addresses::default(), ttl, now)
    }

    /// Makes the control plane's own SVID, with a new key, valid also for `localhost`, Istio's service
    /// names of a control plane, `names` and `ips`: so that clients which verify a DNS name or address can connect.
    pub fn issue_control_plane(
        &self,
        names: &[String],
        ips: &[IpAddr],
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Svid, SignError> {
        let failed = |error: &dyn ToString| SignError::Failed(error.to_string());
        let id = control_plane_id(&self.trust_domain).map_err(|error| failed(&error))?;
        let key = key::generate().map_err(|error| failed(&error))?;
        let own = names.iter().map(String::as_str);
        let hosts: Vec<&str> = CONTROL_PLANE_HOSTS.into_iter().chain(own).collect();
        let addresses = Addresses { hosts: &hosts, ips };
        let chain = sign::sign(&self.signing.load(), key.signer(), &id, addresses, ttl, now)?;
        let svid: Result<Svid, SvidError> = Svid::from_pem(&chain.concat(), &key.to_pem());
        svid.map_err(|error| failed(&error))
    }

    /// Makes a new intermediate if 80 % of the present one's life are over; for control planes that run
    /// for a year. Returns whether one was made. A `cacerts` CA is never renewed here.
    pub fn renew_if_due(&self, now: SystemTime) -> Result<bool, AuthorityError> {
        if !self.own || !is_due(&self.signing.load(), now) {
            return Ok(false);
        }
        self.renew_intermediate(now)?;
        Ok(true)
    }

    pub(super) fn renew_intermediate(&self, now: SystemTime) -> Result<(), AuthorityError> {
        make_intermediate(&self.dir, &self.trust_domain, now)?;
        self.reload()
    }

    /// Takes the files in anew.
    pub(super) fn reload(&self) -> Result<(), AuthorityError> {
        self.signing.store(std::sync::Arc::new(load(&self.dir, Keys::MustBePrivate)?));
        Ok(())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the CA's files are ours, and not given by `cacerts`.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// Signs a certificate for nobody and verifies it as a peer would: finds an expired CA, one that may
    /// not sign, and a chain that does not lead to the root, before any workload meets them.
    fn checked(
        dir: &Path,
        trust_domain: TrustDomain,
        own: bool,
        signing: Signing,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let unverified = |error: &dyn ToString| AuthorityError::Unverified {
            dir: dir.into(),
            reason: error.to_string(),
        };
        let bundle = signing.bundle.clone();
        let signing = ArcSwap::from_pointee(signing);
        let authority = Authority { trust_domain, dir: dir.into(), own, signing };
        let svid = authority
            .issue_control_plane(&[], &[], sign::MIN_TTL, now)
            .map_err(|error| unverified(&error))?;
        tls::check_svid(&svid, &bundle, now).map_err(|error| unverified(&error))?;
        Ok(authority)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Whether private keys must be readable by their owner alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    MustBePrivate,
    MayBeShared,
}

fn is_due(signing: &Signing, now: SystemTime) -> bool {
    let life = signing.not_after.duration_since(signing.not_before).unwrap_or_default();
    now >= signing.not_before + life * 4 / 5 || !signing.is_of_first_root
}

fn is_missing(error: &AuthorityError) -> bool {
    matches!(error, AuthorityError::File(file) if file.is_not_found())
}

/// A key that others could read may be theirs by now. That is for the operator to judge: a new key made in silence would
/// hide it, and the old one would be trusted as long as its certificate lives.
fn refuse_exposed_keys(dir: &Path) -> Result<(), AuthorityError> {
    for path in [dir.join(ROOT_KEY), dir.join(CA_KEY)] {
        // What else is wrong with it is found where it is used.
        if let Err(exposed @ FileError::Exposed { .. }) = private_file::read_secret(&path) {
            return Err(exposed.into());
        }
    }
    Ok(())
}

/// The root certificate is what workloads hold, so one that exists is never replaced. A key without a
/// certificate is what a first start leaves that was cut short: nobody has trusted it yet.
fn make_root_if_missing(
    dir: &Path,
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<(), AuthorityError> {
    match private_file::read(&dir.join(ROOT_CERT)) {
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let key = make_key(&dir.join(ROOT_KEY))?;
    let certificate = root::make_root(trust_domain, &key, now)?;
    let pem = certificate_pem(certificate.der());
    Ok(private_file::write_public(&dir.join(ROOT_CERT), pem.as_bytes())?)
}

/// A new key, or the one that is there of an attempt that was cut short.
pub(super) fn make_key(path: &Path) -> Result<KeyPair, AuthorityError> {
    let fresh = key::generate().map_err(|error| AuthorityError::Make(error.to_string()))?;
    private_file::create_secret(path, fresh.to_pem().as_bytes())?;
    read_own_key(path)
}

/// Reads a key that nobody else may read.
pub(super) fn read_own_key(path: &Path) -> Result<KeyPair, AuthorityError> {
    read_key(path, Keys::MustBePrivate)
}

/// Makes a new intermediate with a new key. A crash between the files leaves a pair that does not fit,
/// which the next start sees and makes anew.
fn make_intermediate(
    dir: &Path,
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<(), AuthorityError> {
    let root_path = dir.join(ROOT_CERT);
    let roots = read_certificates(&root_path)?;
    let root_key = read_key(&dir.join(ROOT_KEY), Keys::MustBePrivate)?;
    let facts = CaFacts::read(&roots[0], &root_path)?;
    facts.check_key(&root_key, &root_path)?;
    let issuer = Issuer::from_ca_cert_der(&roots[0], root_key.into_signer())?;

    let key = key::generate().map_err(|error| AuthorityError::Make(error.to_string()))?;
    let certificate = root::make_intermediate(trust_domain, &key, &issuer, facts.not_after, now)?;
    let pem = certificate_pem(certificate.der());
    private_file::write_secret(&dir.join(CA_KEY), key.to_pem().as_bytes())?;
    private_file::write_public(&dir.join(CA_CERT), pem.as_bytes())?;
    let chain = format!("{pem}{}", certificate_pem(&roots[0]));
    Ok(private_file::write_public(&dir.join(CERT_CHAIN), chain.as_bytes())?)
}

/// Reads the files of a CA and puts its chain in order.
fn load(dir: &Path, keys: Keys) -> Result<Signing, AuthorityError> {
    let (ca_path, root_path) = (dir.join(CA_CERT), dir.join(ROOT_CERT));
    let key = read_key(&dir.join(CA_KEY), keys)?;
    let ca = read_certificates(&ca_path)?.swap_remove(0);
    let facts = CaFacts::read(&ca, &ca_path)?;
    facts.check_key(&key, &ca_path)?;

    let root_pem = private_file::read(&root_path)?;
    let bundle = TrustBundle::from_pem(&root_pem)
        .map_err(|source| AuthorityError::Roots { path: root_path, source })?;
    let between = match read_certificates(&dir.join(CERT_CHAIN)) {
        Err(error) if is_missing(&error) => Vec::new(),
        read => read?,
    };
    let is_above = |der: &&CertificateDer<'_>| **der != ca && !bundle.roots().contains(der);
    let mut chain = vec![certificate_pem(&ca)];
    chain.extend(between.iter().filter(is_above).map(certificate_pem));
    // Istio's clients take the last certificate as the root. A CA that is its own root stands once.
    if !bundle.roots().contains(&ca) {
        chain.extend(bundle.roots().first().map(certificate_pem));
    }
    let is_of_first_root = bundle.roots().first().is_some_and(|root| is_signed_by(&ca, root));
    let issuer = Issuer::from_ca_cert_der(&ca, key.into_signer()).map_err(|error| {
        AuthorityError::Certificate { path: ca_path, reason: error.to_string() }
    })?;
    let (not_before, not_after) = (facts.not_before, facts.not_after);
    Ok(Signing { issuer, chain, not_before, not_after, bundle, is_of_first_root })
}

/// Whether this is the key of a CA's certificate.
pub(super) fn is_key_of(key: &KeyPair, certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
        *key.signer().der_bytes() == *certificate.public_key().subject_public_key.data
    })
}

/// Whether a certificate is signed by another, or is that one.
fn is_signed_by(certificate: &CertificateDer<'_>, by: &CertificateDer<'_>) -> bool {
    match (X509Certificate::from_der(certificate), X509Certificate::from_der(by)) {
        (Ok((_, certificate)), Ok((_, by))) => {
            certificate.verify_signature(Some(by.public_key())).is_ok()
        }
        _ => false,
    }
}

fn read_key(path: &Path, keys: Keys) -> Result<KeyPair, AuthorityError> {
    let pem = match keys {
        Keys::MustBePrivate => private_file::read_secret(path)?,
        Keys::MayBeShared => private_file::read(path)?,
    };
    KeyPair::from_pem(&pem).map_err(|source| AuthorityError::Key { path: path.into(), source })
}

/// Reads at least one certificate.
pub(super) fn read_certificates(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let wrong = |reason: String| AuthorityError::Certificate { path: path.into(), reason };
    let pem = private_file::read(path)?;
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(pem_reason(&error)))?;
    match certificates.is_empty() {
        true => Err(wrong("no PEM certificate in it".into())),
        false => Ok(certificates),
    }
}

/// What is read of a CA's certificate.
struct CaFacts {
    not_before: SystemTime,
    not_after: SystemTime,
    public_key: Vec<u8>,
}

impl CaFacts {
    fn read(der: &CertificateDer<'_>, path: &Path) -> Result<Self, AuthorityError> {
        let wrong = |reason: String| AuthorityError::Certificate { path: path.into(), reason };
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| wrong(error.to_string()))?;
        if !certificate.is_ca() {
            return Err(wrong("it is not a CA's certificate (CA:TRUE is missing)".into()));
        }
        Ok(CaFacts {
            not_before: system_time(certificate.validity.not_before.timestamp()),
            not_after: system_time(certificate.validity.not_after.timestamp()),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    fn check_key(&self, key: &KeyPair, path: &Path) -> Result<(), AuthorityError> {
        if key.signer().der_bytes() == self.public_key {
            return Ok(());
        }
        let reason = "the private key beside it is not of this certificate".into();
        Err(AuthorityError::Certificate { path: path.into(), reason })
    }
}

#[cfg(test)]
mod tests;
