//! Whether a workload asks its callers for a certificate of the mesh: Istio's `PeerAuthentication`
//! (<https://istio.io/latest/docs/reference/config/security/peer_authentication/>; precedence:
//! <https://istio.io/latest/docs/concepts/security/#peer-authentication>).

use std::collections::BTreeMap;

/// What is asked of callers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Plaintext alone.
    Disable,
    /// Plaintext or mutual TLS.
    Permissive,
    /// Mutual TLS alone.
    #[default]
    Strict,
}

impl Mode {
    /// What holds where nothing is said. Istio's is `PERMISSIVE`, so that workloads without a sidecar can join a mesh step
    /// by step; here plaintext has to be allowed by somebody.
    pub const DEFAULT: Mode = Mode::Strict;

    /// Whether callers may come without mutual TLS.
    pub fn takes_plaintext(self) -> bool {
        self != Mode::Strict
    }

    /// Whether callers may come by mutual TLS.
    pub fn takes_mutual_tls(self) -> bool {
        self != Mode::Disable
    }

    /// The mode's word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Disable => "DISABLE",
            Mode::Permissive => "PERMISSIVE",
            Mode::Strict => "STRICT",
        }
    }
}

/// A `PeerAuthentication`, as far as it decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerAuthentication {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was created (RFC 3339, UTC); of several of one level the oldest counts.
    pub created: String,
    /// The labels of the workloads that it is for; empty for all.
    pub selector: BTreeMap<String, String>,
    /// What it asks; `None` is `UNSET`, which leaves it to the level above.
    pub mode: Option<Mode>,
    /// What it asks on ports of the workload; `None` is `UNSET`, the mode of the workload as a whole.
    pub ports: BTreeMap<u16, Option<Mode>>,
}

impl PeerAuthentication {
    /// Its level; `None` where it is for nobody: a selector in the root namespace.
    pub fn level(&self, root_namespace: &str) -> Option<Level> {
        match (self.namespace == root_namespace, self.selector.is_empty()) {
            (true, true) => Some(Level::Mesh),
            (false, true) => Some(Level::Namespace),
            (false, false) => Some(Level::Workload),
            (true, false) => None,
        }
    }

    /// Whether it is for a workload of these labels in this namespace, if no other one of its level goes before it.
    pub fn is_for(
        &self,
        root_namespace: &str,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let is_of = || self.namespace == namespace;
        let selects = || self.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        match self.level(root_namespace) {
            Some(Level::Mesh) => true,
            Some(Level::Namespace) => is_of(),
            Some(Level::Workload) => is_of() && selects(),
            None => false,
        }
    }

    fn age(&self) -> (&str, &str, &str) {
        (&self.created, &self.namespace, &self.name)
    }
}

/// How wide a policy reaches. The narrower goes before the wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All workloads: without a selector, in the root namespace.
    Mesh,
    /// All workloads of its namespace: without a selector.
    Namespace,
    /// The workloads of its namespace that it selects.
    Workload,
}

/// The policies that decide for a workload: at most one of each level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Governing<'a> {
    mesh: Option<&'a PeerAuthentication>,
    namespace: Option<&'a PeerAuthentication>,
    workload: Option<&'a PeerAuthentication>,
}

impl<'a> Governing<'a> {
    /// Finds those that are for a workload of these labels in this namespace.
    pub fn find(
        policies: impl IntoIterator<Item = &'a PeerAuthentication>,
        root_namespace: &str,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let mut found = Governing::default();
        for policy in policies {
            let Some(level) = policy.level(root_namespace) else { continue };
            if !policy.is_for(root_namespace, namespace, labels) {
                continue;
            }
            let place = match level {
                Level::Mesh => &mut found.mesh,
                Level::Namespace => &mut found.namespace,
                Level::Workload => &mut found.workload,
            };
            if place.is_none_or(|it| policy.age() < it.age()) {
                *place = Some(policy);
            }
        }
        found
    }

    /// The policy of a level.
    pub fn of(&self, level: Level) -> Option<&'a PeerAuthentication> {
        match level {
            Level::Mesh => self.mesh,
            Level::Namespace => self.namespace,
            Level::Workload => self.workload,
        }
    }

    /// What they ask together: of each thing the narrowest that says it.
    pub fn modes(&self) -> Modes {
        let narrow_first = [self.workload, self.namespace, self.mesh];
        let said = narrow_first.into_iter().flatten().find_map(|policy| policy.mode);
        let mode = said.unwrap_or(Mode::DEFAULT);
        let ports = self.workload.into_iter().flat_map(|policy| &policy.ports);
        let ports = ports.map(|(port, said)| (*port, said.unwrap_or(mode)));
        // A port that asks what the others ask needs no word of its own.
        Modes { mode, ports: ports.filter(|(_, on_port)| *on_port != mode).collect() }
    }
}

/// What a workload asks of its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    /// On all ports but those below.
    pub mode: Mode,
    /// On single ports of the workload.
    pub ports: BTreeMap<u16, Mode>,
}

impl Modes {
    /// What is asked on a port of the workload (of the application, not of a service).
    pub fn on(&self, port: u16) -> Mode {
        self.ports.get(&port).copied().unwrap_or(self.mode)
    }
}

#[cfg(test)]
mod tests;
