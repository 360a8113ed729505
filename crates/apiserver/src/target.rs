//! What a request path stands for: a kind in one of its versions, and perhaps a namespace and a name.

use meltemi_api::Kind;
use meltemi_audit::ObjectRef;
use meltemi_store::{Key, Selector, kind as store_kind};

use crate::status::Failure;

/// The resource of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// The version asked for, one of those served.
    pub(crate) version: &'static str,
    /// Given in the path; a list without it goes over all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// Whether the path ends in `/status`.
    pub(crate) status: bool,
}

impl Target {
    /// Reads the part of a path after the version, as in `namespaces/NS/PLURAL/NAME/status`.
    pub(crate) fn parse(group: &str, version: &str, rest: &str) -> Result<Self, Failure> {
        let nothing = || Failure::no_such_path(&format!("{group}/{version}/{rest}"));
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let (namespace, parts) = match parts.as_slice() {
            // A namespace itself, or its status, is not a kind within a namespace.
            ["namespaces", _] | ["namespaces", _, "status"] if group.is_empty() => {
                (None, parts.as_slice())
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            parts => (None, parts),
        };
        let (plural, name, status) = match parts {
            [plural] => (*plural, None, false),
            [plural, name] => (*plural, Some(*name), false),
            [plural, name, "status"] => (*plural, Some(*name), true),
            _ => return Err(nothing()),
        };
        let kind = Kind::from_plural(group, plural).ok_or_else(nothing)?;
        let version = kind
            .versions()
            .iter()
            .copied()
            .find(|served| *served == version)
            .ok_or_else(nothing)?;
        let placed = match (kind.namespaced(), namespace, name) {
            (true, None, Some(_)) | (false, Some(_), _) => false,
            (_, namespace, name) => [namespace, name].iter().flatten().all(|part| !part.is_empty()),
        };
        if !placed {
            return Err(nothing());
        }
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Ok(Self { kind, version, namespace: owned(namespace), name: owned(name), status })
    }

    /// The key of an object of this kind and namespace.
    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(self.kind.group(), self.kind.plural(), self.namespace.as_deref(), name)
    }

    /// The plural word, with `/status` where that part alone is meant: what roles name.
    pub(crate) fn resource(&self) -> String {
        let part = if self.status { "/status" } else { "" };
        format!("{}{part}", self.kind.plural())
    }

    /// What the audit log calls it.
    pub(crate) fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            resource: self.kind.plural().to_owned(),
            api_group: self.kind.group().to_owned(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone().unwrap_or_default(),
            subresource: if self.status { "status".to_owned() } else { String::new() },
        }
    }

    /// The objects that a list without a name goes over.
    pub(crate) fn selector(&self) -> Selector {
        Selector {
            kind: Some(store_kind(self.kind.group(), self.kind.plural())),
            namespace: self.namespace.clone(),
        }
    }

    /// `GROUP/VERSION`, or the version alone for the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(self.kind, self.version)
    }
}

/// `GROUP/VERSION` of a kind, or the version alone for the core group.
pub(crate) fn api_version(kind: Kind, version: &str) -> String {
    match kind.group() {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}
