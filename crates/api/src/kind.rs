//! Which kinds there are, and by which words they go.

use std::fmt;

/// What is fixed about a kind.
struct Facts {
    group: &'static str,
    /// All are read the same; the first is the one that is stored.
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
    namespaced: bool,
}

impl Kind {
    /// Every kind, in the order in which they are applied: what others stand on comes first.
    pub fn all() -> &'static [Kind] {
        Kind::ALL
    }

    /// The API group; empty for the core group.
    pub fn group(self) -> &'static str {
        self.facts().group
    }

    /// The versions that are accepted and served, the preferred first.
    pub fn versions(self) -> &'static [&'static str] {
        self.facts().versions
    }

    /// The version in which objects are kept.
    pub fn storage_version(self) -> &'static str {
        self.facts().versions[0]
    }

    /// `GROUP/VERSION` in the storage version, or the version alone for the core group.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.storage_version().to_owned(),
            group => format!("{group}/{}", self.storage_version()),
        }
    }

    /// The word in `kind`, as in `VirtualService`.
    pub fn kind(self) -> &'static str {
        self.facts().kind
    }

    /// The word in paths, as in `virtualservices`.
    pub fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// The word in command lines, as in `virtualservice`.
    pub fn singular(self) -> &'static str {
        self.facts().singular
    }

    /// Shorter words for command lines, as in `vs`.
    pub fn short_names(self) -> &'static [&'static str] {
        self.facts().short_names
    }

    /// Whether its objects live in namespaces.
    pub fn namespaced(self) -> bool {
        self.facts().namespaced
    }

    /// Whether this version acts on its objects. Those of other kinds are checked and stored, and change nothing: whoever
    /// writes one must be told, above all where it is a policy that forbids something.
    pub fn has_effect(self) -> bool {
        match self {
            Kind::Namespace
            | Kind::ServiceAccount
            | Kind::Secret
            | Kind::ConfigMap
            | Kind::Service
            | Kind::ClusterRole
            | Kind::Role
            | Kind::ClusterRoleBinding
            | Kind::RoleBinding
            | Kind::AccessToken
            | Kind::CertificateRevocation
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::ServiceEntry
            | Kind::WorkloadEntry
            | Kind::WorkloadGroup
            | Kind::Sidecar
            | Kind::RequestAuthentication
            | Kind::AuthorizationPolicy
            | Kind::PeerAuthentication
            | Kind::ReferenceGrant
            | Kind::HttpRoute
            | Kind::ProxyConfig
            | Kind::GrpcRoute => true,
            Kind::Gateway
            | Kind::EnvoyFilter
            | Kind::GatewayClass
            | Kind::KubernetesGateway
            | Kind::TcpRoute
            | Kind::TlsRoute
            | Kind::Telemetry
            | Kind::WasmPlugin => false,
        }
    }

    /// The kind of this group and plural word.
    pub fn from_plural(group: &str, plural: &str) -> Option<Kind> {
        Kind::all().iter().copied().find(|kind| kind.group() == group && kind.plural() == plural)
    }

    /// The kind that an object's `apiVersion` and `kind` name.
    pub fn from_object(api_version: &str, kind: &str) -> Option<Kind> {
        let (group, version) = split_api_version(api_version);
        let is_meant = |it: &Kind| it.group() == group && it.kind() == kind;
        Kind::all().iter().copied().find(is_meant).filter(|it| it.versions().contains(&version))
    }

    /// The kind that a person means by a word: singular, plural, kind or short name, in any case, with or without
    /// `.GROUP` (or its beginning) behind it. Of `gateways` Istio's is meant, unless the group says otherwise, as in
    /// `gateways.gateway.networking.k8s.io` or `gtw`.
    pub fn from_word(word: &str) -> Option<Kind> {
        let word = word.to_ascii_lowercase();
        let (name, group) = word.split_once('.').unwrap_or((&word, ""));
        Kind::all().iter().copied().find(|kind| {
            let is_name = kind.plural() == name
                || kind.singular() == name
                || kind.short_names().contains(&name);
            is_name && kind.group().starts_with(group)
        })
    }
}

/// Group and version of an `apiVersion`; the core group has no name.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Makes [`Kind`] and its facts from one table; [`crate::Resource`] is made from the same one.
macro_rules! kinds {
    ($($variant:ident($type:path): $group:literal $versions:expr, $kind:literal,
        $plural:literal $singular:literal $short:expr, $namespaced:literal;)*) => {
        /// A kind of resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = concat!("`", $kind, "` of `", $group, "` (core where that is empty).")] $variant,)*
        }

        impl Kind {
            const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            fn facts(self) -> Facts {
                match self {
                    $(Kind::$variant => Facts {
                        group: $group,
                        versions: &$versions,
                        kind: $kind,
                        plural: $plural,
                        singular: $singular,
                        short_names: &$short,
                        namespaced: $namespaced,
                    },)*
                }
            }
        }
    };
}

/// Hands the table of kinds to a macro: variant, type, group, versions, kind, plural, singular, short names, whether
/// it lives in a namespace.
macro_rules! with_kinds {
    ($macro:ident) => {
        $macro! {
            Namespace(crate::core::Namespace): "" ["v1"], "Namespace", "namespaces" "namespace" ["ns"], false;
            ServiceAccount(crate::core::ServiceAccount): "" ["v1"], "ServiceAccount", "serviceaccounts" "serviceaccount" ["sa"], true;
            Secret(crate::core::Secret): "" ["v1"], "Secret", "secrets" "secret" [], true;
            ConfigMap(crate::core::ConfigMap): "" ["v1"], "ConfigMap", "configmaps" "configmap" ["cm"], true;
            Service(crate::core::Service): "" ["v1"], "Service", "services" "service" ["svc"], true;
            ClusterRole(crate::rbac::ClusterRole): "rbac.authorization.k8s.io" ["v1"], "ClusterRole", "clusterroles" "clusterrole" [], false;
            Role(crate::rbac::Role): "rbac.authorization.k8s.io" ["v1"], "Role", "roles" "role" [], true;
            ClusterRoleBinding(crate::rbac::ClusterRoleBinding): "rbac.authorization.k8s.io" ["v1"], "ClusterRoleBinding", "clusterrolebindings" "clusterrolebinding" [], false;
            RoleBinding(crate::rbac::RoleBinding): "rbac.authorization.k8s.io" ["v1"], "RoleBinding", "rolebindings" "rolebinding" [], true;
            AccessToken(crate::meltemi::AccessToken): "meltemi.io" ["v1alpha1"], "AccessToken", "accesstokens" "accesstoken" [], false;
            CertificateRevocation(crate::meltemi::CertificateRevocation): "meltemi.io" ["v1alpha1"], "CertificateRevocation", "certificaterevocations" "certificaterevocation" [], false;
            Gateway(crate::istio::Gateway): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "Gateway", "gateways" "gateway" ["gw"], true;
            VirtualService(crate::istio::VirtualService): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "VirtualService", "virtualservices" "virtualservice" ["vs"], true;
            DestinationRule(crate::istio::DestinationRule): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "DestinationRule", "destinationrules" "destinationrule" ["dr"], true;
            ServiceEntry(crate::istio::ServiceEntry): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "ServiceEntry", "serviceentries" "serviceentry" ["se"], true;
            WorkloadEntry(crate::istio::WorkloadEntry): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "WorkloadEntry", "workloadentries" "workloadentry" ["we"], true;
            WorkloadGroup(crate::istio::WorkloadGroup): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "WorkloadGroup", "workloadgroups" "workloadgroup" ["wg"], true;
            Sidecar(crate::istio::Sidecar): "networking.istio.io" ["v1", "v1beta1", "v1alpha3"], "Sidecar", "sidecars" "sidecar" [], true;
            ProxyConfig(crate::istio::ProxyConfig): "networking.istio.io" ["v1beta1"], "ProxyConfig", "proxyconfigs" "proxyconfig" [], true;
            EnvoyFilter(crate::istio::EnvoyFilter): "networking.istio.io" ["v1alpha3"], "EnvoyFilter", "envoyfilters" "envoyfilter" [], true;
            GatewayClass(crate::gateway_api::GatewayClass): "gateway.networking.k8s.io" ["v1", "v1beta1"], "GatewayClass", "gatewayclasses" "gatewayclass" ["gc"], false;
            ReferenceGrant(crate::gateway_api::ReferenceGrant): "gateway.networking.k8s.io" ["v1beta1", "v1", "v1alpha2"], "ReferenceGrant", "referencegrants" "referencegrant" ["refgrant"], true;
            KubernetesGateway(crate::gateway_api::Gateway): "gateway.networking.k8s.io" ["v1", "v1beta1"], "Gateway", "gateways" "gateway" ["gtw"], true;
            HttpRoute(crate::gateway_api::HttpRoute): "gateway.networking.k8s.io" ["v1", "v1beta1"], "HTTPRoute", "httproutes" "httproute" [], true;
            GrpcRoute(crate::gateway_api::GrpcRoute): "gateway.networking.k8s.io" ["v1", "v1alpha2"], "GRPCRoute", "grpcroutes" "grpcroute" [], true;
            TcpRoute(crate::gateway_api::TcpRoute): "gateway.networking.k8s.io" ["v1alpha2", "v1"], "TCPRoute", "tcproutes" "tcproute" [], true;
            TlsRoute(crate::gateway_api::TlsRoute): "gateway.networking.k8s.io" ["v1", "v1alpha3", "v1alpha2"], "TLSRoute", "tlsroutes" "tlsroute" [], true;
            PeerAuthentication(crate::istio::PeerAuthentication): "security.istio.io" ["v1", "v1beta1"], "PeerAuthentication", "peerauthentications" "peerauthentication" ["pa"], true;
            AuthorizationPolicy(crate::istio::AuthorizationPolicy): "security.istio.io" ["v1", "v1beta1"], "AuthorizationPolicy", "authorizationpolicies" "authorizationpolicy" ["ap"], true;
            RequestAuthentication(crate::istio::RequestAuthentication): "security.istio.io" ["v1", "v1beta1"], "RequestAuthentication", "requestauthentications" "requestauthentication" ["ra"], true;
            Telemetry(crate::istio::Telemetry): "telemetry.istio.io" ["v1", "v1alpha1"], "Telemetry", "telemetries" "telemetry" ["telemetry"], true;
            WasmPlugin(crate::istio::WasmPlugin): "extensions.istio.io" ["v1alpha1"], "WasmPlugin", "wasmplugins" "wasmplugin" [], true;
        }
    };
}

with_kinds!(kinds);

pub(crate) use with_kinds;
