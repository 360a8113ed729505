//! What secrets say for TLS, and what a workload gets of it.
//!
//! Keys are Istio's: `tls.crt`, `tls.key`, `ca.crt` and `ca.crl`, or `cert`, `key`, `cacert` and `crl`; authorities may lie in
//! a secret of their own, called as the other with `-cacert` behind it
//! (<https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings>).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::record::Object;

/// What is behind the name of a secret that holds authorities alone.
const AUTHORITIES: &str = "-cacert";

/// PEM texts of a `Secret`. Shown without them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credential {
    /// A certificate and what follows it up to the root.
    pub certificate: Option<Arc<str>>,
    /// Its key.
    pub private_key: Option<Arc<str>>,
    /// Authorities that peers are checked by.
    pub ca_certificates: Option<Arc<str>>,
    /// What these took back.
    pub ca_crl: Option<Arc<str>>,
}

impl Credential {
    /// Whether it says nothing for TLS.
    pub fn is_empty(&self) -> bool {
        *self == Credential::default()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// All of them, by secret.
#[derive(Debug, Default)]
pub(crate) struct Credentials(HashMap<Object, Credential>);

impl Credentials {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.keys()
    }

    /// Sets or removes what a secret says; answers whether that is different from before.
    pub(crate) fn put(&mut self, object: &Object, record: Option<Credential>) -> bool {
        let before = match record.clone().filter(|it| !it.is_empty()) {
            Some(record) => self.0.insert(object.clone(), record),
            None => self.0.remove(object),
        };
        before.unwrap_or_default() != record.unwrap_or_default()
    }

    /// What these secrets of a namespace say; those that are not there, or may not be read, are left out.
    pub(crate) fn find(
        &self,
        namespace: &str,
        names: BTreeSet<&str>,
        may_read: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, Credential> {
        let of = |name: &str| match may_read(name) {
            true => self.0.get(&secret(namespace, name)).cloned().unwrap_or_default(),
            false => Credential::default(),
        };
        let found = names.into_iter().map(|name| {
            let mut credential = of(name);
            if credential.ca_certificates.is_none() {
                let Credential { ca_certificates, ca_crl, .. } =
                    of(&format!("{name}{AUTHORITIES}"));
                credential.ca_certificates = ca_certificates;
                credential.ca_crl = credential.ca_crl.or(ca_crl);
            }
            (name.to_owned(), credential)
        });
        found.filter(|(_, credential)| !credential.is_empty()).collect()
    }
}

/// The names by which rules may need what a secret says.
pub(crate) fn names_of(secret: &str) -> impl Iterator<Item = &str> {
    [Some(secret), secret.strip_suffix(AUTHORITIES)].into_iter().flatten()
}

fn secret(namespace: &str, name: &str) -> Object {
    Object::new(crate::record::ObjectKind::Secret, namespace, name)
}
