//! Changes of a running configuration, each by the way that its contestant has for it: Meltemi's API, the file that Envoy
//! watches, HAProxy's socket. What changes are the weights of the endpoints.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::role::http1::status;
use crate::role::load::connection::connect;
use crate::role::load::http1::Http1;

/// Weights go from one to this and begin anew.
const WEIGHTS: u64 = 8;
/// Lanes of a service's rules: its VirtualService and its DestinationRule.
const RULES: u64 = 2;

/// How a contestant's configuration is changed.
#[derive(Debug, Clone)]
pub enum Changer {
    /// Over the API of the control plane, from where it has to reach the proxy.
    Meltemi(Api),
    /// In the file of the cluster's endpoints.
    Envoy(Eds),
    /// Over the socket of the running process.
    Haproxy(PathBuf),
}

impl Changer {
    /// How many changes may be under way at a time: each lane has an endpoint or a rule of its own.
    pub fn lanes(&self) -> u64 {
        match self {
            Changer::Meltemi(api) => api.workloads + if api.has_rules { RULES } else { 0 },
            Changer::Envoy(_) | Changer::Haproxy(_) => 1,
        }
    }

    /// Makes the changes of a lane, each as soon as `due` gives its number, until it gives none.
    ///
    /// # Errors
    /// The first change that was refused.
    pub async fn run(&self, lane: u64, mut due: impl AsyncFnMut() -> u64) -> io::Result<()> {
        let mut connection = match self {
            Changer::Meltemi(api) => Some(Http1::new(connect(api.address).await?)),
            _ => None,
        };
        loop {
            let number = due().await;
            match (self, &mut connection) {
                (Changer::Meltemi(api), Some(connection)) => {
                    connection.exchange(&api.patch(lane, number)).await?;
                }
                (Changer::Envoy(eds), _) => eds.write(number)?,
                (Changer::Haproxy(socket), _) => set_weight(socket, number).await?,
                (Changer::Meltemi(_), None) => return Ok(()),
            }
        }
    }

    /// How many changes the caller's proxy has taken up so far, where it tells. One may hold several that came close
    /// after each other.
    pub async fn applied(&self) -> io::Result<Option<u64>> {
        let unclear = || io::Error::other("what the proxy has taken up is not told");
        match self {
            Changer::Meltemi(api) => {
                let dump = fetch(api.admin, "/config_dump").await?;
                let dump: Value = serde_json::from_str(&dump)?;
                dump["generation"].as_u64().map(Some).ok_or_else(unclear)
            }
            Changer::Envoy(eds) => {
                let stats = fetch(eds.admin, "/stats?filter=endpoints.update_success").await?;
                let count = stats.split_once("update_success: ").and_then(|(_, rest)| {
                    rest.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
                });
                count.map(Some).ok_or_else(unclear)
            }
            Changer::Haproxy(_) => Ok(None),
        }
    }
}

/// Meltemi's API.
#[derive(Clone)]
pub struct Api {
    /// Where it is.
    pub address: SocketAddr,
    /// What lets a caller in.
    pub token: String,
    /// How many workloads there are, `bench-1` and so on.
    pub workloads: u64,
    /// The admin interface of the caller's proxy.
    pub admin: SocketAddr,
    /// Whether the service has rules: then they change too, and its first endpoint comes and goes.
    pub has_rules: bool,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.address)
    }
}

impl Api {
    /// The change of a lane: one of an endpoint each, then one of each rule.
    fn patch(&self, lane: u64, number: u64) -> Vec<u8> {
        let (object, spec) = match lane.checked_sub(self.workloads) {
            None => (format!("workloadentries/bench-{}", lane + 1), self.endpoint(lane, number)),
            Some(0) => ("virtualservices/bench".to_owned(), routes(number)),
            Some(_) => ("destinationrules/bench".to_owned(), destinations(number)),
        };
        let body = json!({ "spec": spec }).to_string();
        format!(
            "PATCH /apis/networking.istio.io/v1/namespaces/default/{object} HTTP/1.1\r\n\
             host: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/merge-patch+json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .into_bytes()
    }

    /// Another weight. Only the first endpoint leaves its service and comes back, so that there is always another one.
    fn endpoint(&self, lane: u64, number: u64) -> Value {
        match self.has_rules && self.workloads > 1 && lane == 0 {
            true => json!({"labels": {"app": if number % 2 == 1 { "away" } else { "bench" }}}),
            false => json!({"weight": weight(number)}),
        }
    }
}

/// Other weights for a subset and the whole.
fn routes(number: u64) -> Value {
    let share = number % 101;
    json!({"http": [{"retries": {"attempts": 2}, "route": [
        {"destination": {"host": "bench", "subset": "all"}, "weight": share},
        {"destination": {"host": "bench"}, "weight": 100 - share},
    ]}]})
}

/// Another balancer, and subsets that come, go and are of other endpoints than before.
fn destinations(number: u64) -> Value {
    let simple = ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"][(number % 3) as usize];
    let mut subsets = vec![json!({"name": "all", "labels": {"app": "bench"}})];
    if number % 2 == 1 {
        let version = format!("v{}", weight(number));
        subsets.push(json!({"name": "canary", "labels": {"version": version}}));
    }
    json!({"trafficPolicy": {"loadBalancer": {"simple": simple}}, "subsets": subsets})
}

/// The endpoints of Envoy's cluster, in a directory of their own that it watches.
#[derive(Debug, Clone)]
pub struct Eds {
    directory: PathBuf,
    endpoints: Vec<SocketAddr>,
    admin: SocketAddr,
}

impl Eds {
    /// Nothing is written yet.
    pub fn new(directory: PathBuf, endpoints: &[SocketAddr], admin: SocketAddr) -> Self {
        Eds { directory, endpoints: endpoints.to_vec(), admin }
    }

    /// Writes the file with the weights that follow from a number, and puts it in place in one step.
    pub fn write(&self, number: u64) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let fresh = self.directory.join("endpoints.new");
        std::fs::write(&fresh, self.text(number))?;
        std::fs::rename(fresh, self.directory.join("endpoints.json"))
    }

    fn text(&self, number: u64) -> String {
        let endpoints = self.endpoints.iter().zip(0..).map(|(address, at)| {
            let (host, port) = (address.ip().to_string(), address.port());
            let address = json!({"socket_address": {"address": host, "port_value": port}});
            let own = if at == number % self.endpoints.len() as u64 { weight(number) } else { 1 };
            json!({"endpoint": {"address": address}, "load_balancing_weight": own})
        });
        let endpoints: Vec<Value> = endpoints.collect();
        json!({
            "version_info": number.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                "cluster_name": "endpoints",
                "endpoints": [{"lb_endpoints": endpoints}],
            }],
        })
        .to_string()
    }
}

fn weight(number: u64) -> u64 {
    number % WEIGHTS + 1
}

async fn set_weight(socket: &PathBuf, number: u64) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let command = format!("set server endpoints/endpoint-1 weight {}\n", weight(number));
    stream.write_all(command.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.trim() {
        "" => Ok(()),
        answer => Err(io::Error::other(answer.to_owned())),
    }
}

/// The body of a page, with whatever frames it.
async fn fetch(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    match (status(&answer), text.split_once("\r\n\r\n")) {
        (Some(200), Some((_, body))) => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{path}: {}", text.lines().next().unwrap_or("nothing")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_file_is_whole_and_differs_from_change_to_change() {
        let directory = tempfile::tempdir().unwrap();
        let endpoints = ["127.0.0.1:7", "127.0.0.1:8"].map(|it| it.parse().unwrap());
        let eds = Eds::new(directory.path().join("eds"), &endpoints, endpoints[0]);
        let read = |number| -> Value {
            eds.write(number).unwrap();
            let text = std::fs::read_to_string(directory.path().join("eds/endpoints.json"));
            serde_json::from_str(&text.unwrap()).unwrap()
        };
        let (one, two) = (read(1), read(2));
        let weights = |it: &Value| -> Vec<u64> {
            let endpoints = it["resources"][0]["endpoints"][0]["lb_endpoints"].as_array().unwrap();
            endpoints.iter().map(|it| it["load_balancing_weight"].as_u64().unwrap()).collect()
        };
        assert_eq!((weights(&one), weights(&two)), (vec![1, 2], vec![3, 1]));
        assert_eq!(std::fs::read_dir(directory.path().join("eds")).unwrap().count(), 1);
    }

    #[test]
    fn a_patch_changes_the_lanes_own_workload() {
        let address = "127.0.0.1:7".parse().unwrap();
        let api =
            Api { address, token: "secret".into(), workloads: 3, admin: address, has_rules: false };
        let text = String::from_utf8(api.patch(1, 9)).unwrap();
        assert!(text.contains("/workloadentries/bench-2 HTTP/1.1\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n{\"spec\":{\"weight\":2}}"), "{text}");
        assert!(!format!("{api:?}").contains("secret"));
        assert_eq!(Changer::Meltemi(api).lanes(), 3);
    }

    #[test]
    fn with_rules_each_kind_of_object_has_its_lane() {
        let address = "127.0.0.1:7".parse().unwrap();
        let token = "secret".to_owned();
        let api = Api { address, token, workloads: 2, admin: address, has_rules: true };
        let text = |lane, number| String::from_utf8(api.patch(lane, number)).unwrap();
        assert!(text(0, 1).contains("away") && !text(0, 2).contains("away"));
        assert!(text(1, 1).ends_with("{\"spec\":{\"weight\":2}}"), "{}", text(1, 1));
        assert!(text(2, 1).contains("/virtualservices/bench "), "{}", text(2, 1));
        assert!(text(3, 1).contains("/destinationrules/bench "), "{}", text(3, 1));
        for lane in 0..4 {
            assert_ne!(text(lane, 1), text(lane, 2));
        }
        assert_eq!(Changer::Meltemi(api).lanes(), 4);
    }
}
