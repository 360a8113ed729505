//! The fields of the core kinds by number, from Kubernetes' `generated.proto` files.

/// How a field is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Text,
    Texts,
    Number,
    Truth,
    Message(&'static [Field]),
    Messages(&'static [Field]),
    IntOrString(&'static [Field]),
    TextMap,
    /// Values are bytes, in JSON as base64.
    BytesMap,
    /// Kept by the server; what a client sends does not count.
    Ignored,
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) form: Form,
}

pub(super) const fn field(number: u64, name: &'static str, form: Form) -> Field {
    Field { number, name, form }
}

use Form::{
    BytesMap, Ignored, IntOrString, Message, Messages, Number, Text, TextMap, Texts, Truth,
};

/// What the envelope, `runtime.Unknown`, says of its content.
pub(super) static TYPE_META: [Field; 2] = [field(1, "apiVersion", Text), field(2, "kind", Text)];
static OWNER: [Field; 6] = [
    field(1, "kind", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "controller", Truth),
    field(7, "blockOwnerDeletion", Truth),
];
pub(super) static META: [Field; 15] = [
    field(1, "name", Text),
    field(2, "generateName", Text),
    field(3, "namespace", Text),
    field(4, "selfLink", Ignored),
    field(5, "uid", Text),
    field(6, "resourceVersion", Text),
    field(7, "generation", Ignored),
    field(8, "creationTimestamp", Ignored),
    field(9, "deletionTimestamp", Ignored),
    field(10, "deletionGracePeriodSeconds", Ignored),
    field(11, "labels", TextMap),
    field(12, "annotations", TextMap),
    field(13, "ownerReferences", Messages(&OWNER)),
    field(14, "finalizers", Texts),
    field(17, "managedFields", Ignored),
];
static NAMESPACE_SPEC: [Field; 1] = [field(1, "finalizers", Texts)];
static NAMESPACE: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "spec", Message(&NAMESPACE_SPEC)),
    field(3, "status", Ignored),
];
static SECRET: [Field; 5] = [
    field(1, "metadata", Message(&META)),
    field(2, "data", BytesMap),
    field(3, "type", Text),
    field(4, "stringData", TextMap),
    field(5, "immutable", Truth),
];
static CONFIG_MAP: [Field; 4] = [
    field(1, "metadata", Message(&META)),
    field(2, "data", TextMap),
    field(3, "binaryData", BytesMap),
    field(4, "immutable", Truth),
];
static NAMED: [Field; 1] = [field(1, "name", Text)];
/// An object reference, by name alone: that is all a service account has use for.
static OBJECT: [Field; 1] = [field(3, "name", Text)];
static SERVICE_ACCOUNT: [Field; 4] = [
    field(1, "metadata", Message(&META)),
    field(2, "secrets", Messages(&OBJECT)),
    field(3, "imagePullSecrets", Messages(&NAMED)),
    field(4, "automountServiceAccountToken", Truth),
];
static INT_OR_STRING: [Field; 3] =
    [field(1, "type", Number), field(2, "intVal", Number), field(3, "strVal", Text)];
static PORT: [Field; 6] = [
    field(1, "name", Text),
    field(2, "protocol", Text),
    field(3, "port", Number),
    field(4, "targetPort", IntOrString(&INT_OR_STRING)),
    field(5, "nodePort", Number),
    field(6, "appProtocol", Text),
];
static SERVICE_SPEC: [Field; 13] = [
    field(1, "ports", Messages(&PORT)),
    field(2, "selector", TextMap),
    field(3, "clusterIP", Text),
    field(4, "type", Text),
    field(5, "externalIPs", Texts),
    field(7, "sessionAffinity", Text),
    field(8, "loadBalancerIP", Text),
    field(9, "loadBalancerSourceRanges", Texts),
    field(10, "externalName", Text),
    field(11, "externalTrafficPolicy", Text),
    field(13, "publishNotReadyAddresses", Truth),
    field(17, "ipFamilyPolicy", Text),
    field(18, "clusterIPs", Texts),
];
static SERVICE: [Field; 3] = [
    field(1, "metadata", Message(&META)),
    field(2, "spec", Message(&SERVICE_SPEC)),
    field(3, "status", Ignored),
];

/// The fields of a kind, if it is one of these.
pub(super) fn fields_of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    match (api_version, kind) {
        ("v1", "Namespace") => Some(&NAMESPACE),
        ("v1", "Secret") => Some(&SECRET),
        ("v1", "ConfigMap") => Some(&CONFIG_MAP),
        ("v1", "ServiceAccount") => Some(&SERVICE_ACCOUNT),
        ("v1", "Service") => Some(&SERVICE),
        _ => None,
    }
}
