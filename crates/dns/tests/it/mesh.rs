//! A mesh that changes while it is asked about, and a name server for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use meltemi_dns::{
    Address, Answer, Config, Endpoint, Names, Port, Resolution, Server, Transport, Upstreams,
};
use parking_lot::Mutex;

pub const HELLO: &str = "hello.default.svc.cluster.local";

/// A free port of loopback.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Services by host; short names are those of the default namespace.
#[derive(Debug, Default)]
pub struct Mesh(Mutex<BTreeMap<String, Answer>>);

impl Mesh {
    /// A mesh with the service `hello`, and two hosts outside.
    pub fn new() -> Arc<Mesh> {
        let mesh = Arc::new(Mesh::default());
        mesh.put(HELLO, Resolution::Static, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"]);
        mesh.put("example.com", Resolution::Dns, &[]);
        mesh.put("moved.example.net", Resolution::Dns, &["target.example.org"]);
        mesh
    }

    /// Replaces a service; its endpoints are called `w0`, `w1` and so on.
    pub fn put(&self, host: &str, resolution: Resolution, addresses: &[&str]) {
        let endpoint = |(n, address): (usize, &&str)| Endpoint {
            workload: format!("w{n}").into(),
            address: match address.parse() {
                Ok(ip) => Address::Ip(ip),
                Err(_) => Address::Host((*address).into()),
            },
            ports: vec![(80, 8000)],
            weight: 0,
        };
        let answer = Answer {
            host: host.parse().unwrap(),
            external: !host.ends_with("svc.cluster.local"),
            resolution,
            ports: vec![Port { number: 80, name: "http".into(), transport: Transport::Tcp }],
            endpoints: addresses.iter().enumerate().map(endpoint).collect(),
        };
        self.0.lock().insert(host.into(), answer);
    }

    /// As [`Mesh::put`], with that many endpoints.
    pub fn put_many(&self, host: &str, count: u8) {
        let addresses: Vec<String> = (1..=count).map(|n| format!("10.1.1.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        self.put(host, Resolution::Static, &addresses);
    }
}

impl Names for Mesh {
    fn find(&self, name: &str) -> Option<Answer> {
        let services = self.0.lock();
        let full = format!("{name}.default.svc.cluster.local");
        services.get(name).or_else(|| services.get(&full)).cloned()
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        namespace == "default"
    }
}

/// What has no resolver to ask.
pub fn config() -> Config {
    Config { upstreams: Upstreams::Fixed(Vec::new()), ..Config::default() }
}

/// A name server on a free port.
pub async fn serve(config: Config, mesh: &Arc<Mesh>) -> Server {
    Server::bind(ANY, config, mesh.clone()).await.unwrap()
}
