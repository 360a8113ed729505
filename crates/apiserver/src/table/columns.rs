//! The columns between name and age, for each kind; from Kubernetes' printers and the printer columns of the CRDs.

use meltemi_api::Kind;
use serde_json::Value;

/// A column and how its cell is read from an object.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// 0 is always shown, 1 only in wide output.
    pub(super) priority: u8,
    pub(super) cell: fn(&Value) -> String,
}

const fn column(name: &'static str, cell: fn(&Value) -> String) -> Column {
    Column { name, priority: 0, cell }
}

const fn wide(name: &'static str, cell: fn(&Value) -> String) -> Column {
    Column { name, priority: 1, cell }
}

static SERVICE: [Column; 5] = [
    column("Type", |object| or(text(object, "/spec/type"), "ClusterIP")),
    column("Cluster-IP", |object| or(text(object, "/spec/clusterIP"), "None")),
    column("External-IP", |object| or(joined(object, "/spec/externalIPs"), "<none>")),
    column("Port(s)", ports),
    wide("Selector", |object| or(pairs(object, "/spec/selector"), "<none>")),
];
static NAMESPACE: [Column; 1] =
    [column("Status", |object| or(text(object, "/status/phase"), "Active"))];
static SECRET: [Column; 2] = [
    column("Type", |object| or(text(object, "/type"), "Opaque")),
    column("Data", |object| count(object, "/data")),
];
static CONFIG_MAP: [Column; 1] = [column("Data", |object| count(object, "/data"))];
static SERVICE_ACCOUNT: [Column; 1] = [column("Secrets", |object| count(object, "/secrets"))];
static WORKLOAD_ENTRY: [Column; 3] = [
    column("Address", |object| text(object, "/spec/address")),
    column("Healthy", |object| condition(object, "Healthy")),
    column("Group", |object| text(object, "/metadata/annotations/istio.io~1autoRegistrationGroup")),
];
static SERVICE_ENTRY: [Column; 3] = [
    column("Hosts", |object| list(object, "/spec/hosts")),
    column("Location", |object| text(object, "/spec/location")),
    column("Resolution", |object| text(object, "/spec/resolution")),
];
static VIRTUAL_SERVICE: [Column; 2] = [
    column("Gateways", |object| list(object, "/spec/gateways")),
    column("Hosts", |object| list(object, "/spec/hosts")),
];
static DESTINATION_RULE: [Column; 1] = [column("Host", |object| text(object, "/spec/host"))];
static PEER_AUTHENTICATION: [Column; 1] =
    [column("Mode", |object| text(object, "/spec/mtls/mode"))];
static AUTHORIZATION_POLICY: [Column; 1] =
    [column("Action", |object| or(text(object, "/spec/action"), "ALLOW"))];
static ROUTE: [Column; 1] = [column("Hostnames", |object| list(object, "/spec/hostnames"))];
static GATEWAY: [Column; 3] = [
    column("Class", |object| text(object, "/spec/gatewayClassName")),
    column("Address", |object| text(object, "/status/addresses/0/value")),
    column("Programmed", |object| condition(object, "Programmed")),
];
static GATEWAY_CLASS: [Column; 2] = [
    column("Controller", |object| text(object, "/spec/controllerName")),
    column("Accepted", |object| condition(object, "Accepted")),
];

/// The columns of a kind; kinds that are not named here have name and age alone.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match (kind.group(), kind.plural()) {
        ("", "services") => &SERVICE,
        ("", "namespaces") => &NAMESPACE,
        ("", "secrets") => &SECRET,
        ("", "configmaps") => &CONFIG_MAP,
        ("", "serviceaccounts") => &SERVICE_ACCOUNT,
        ("networking.istio.io", "workloadentries") => &WORKLOAD_ENTRY,
        ("networking.istio.io", "serviceentries") => &SERVICE_ENTRY,
        ("networking.istio.io", "virtualservices") => &VIRTUAL_SERVICE,
        ("networking.istio.io", "destinationrules") => &DESTINATION_RULE,
        ("security.istio.io", "peerauthentications") => &PEER_AUTHENTICATION,
        ("security.istio.io", "authorizationpolicies") => &AUTHORIZATION_POLICY,
        ("gateway.networking.k8s.io", "httproutes" | "grpcroutes" | "tlsroutes") => &ROUTE,
        ("gateway.networking.k8s.io", "gateways") => &GATEWAY,
        ("gateway.networking.k8s.io", "gatewayclasses") => &GATEWAY_CLASS,
        _ => &[],
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).filter(|value| !value.is_null()).map(plain).unwrap_or_default()
}

fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list as Kubernetes prints those of custom resources: `["a","b"]`.
fn list(object: &Value, pointer: &str) -> String {
    object
        .pointer(pointer)
        .filter(|value| value.is_array())
        .map(Value::to_string)
        .unwrap_or_default()
}

fn joined(object: &Value, pointer: &str) -> String {
    items(object, pointer).iter().map(plain).collect::<Vec<_>>().join(",")
}

fn pairs(object: &Value, pointer: &str) -> String {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let pairs = map.into_iter().flatten().map(|(name, value)| format!("{name}={}", plain(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn count(object: &Value, pointer: &str) -> String {
    let count = match object.pointer(pointer) {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(list)) => list.len(),
        _ => 0,
    };
    count.to_string()
}

fn condition(object: &Value, kind: &str) -> String {
    let found =
        items(object, "/status/conditions").iter().find(|condition| condition["type"] == kind);
    found.map(|condition| plain(&condition["status"])).unwrap_or_default()
}

/// `80/TCP,90/TCP`.
fn ports(object: &Value) -> String {
    let port = |port: &Value| {
        format!("{}/{}", plain(&port["port"]), port["protocol"].as_str().unwrap_or("TCP"))
    };
    or(items(object, "/spec/ports").iter().map(port).collect::<Vec<_>>().join(","), "<none>")
}
