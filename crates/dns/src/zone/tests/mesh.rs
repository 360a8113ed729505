//! A mesh to ask about, which finds services as the control plane's snapshot does.

use std::collections::BTreeMap;

use crate::names::{Address, Answer, Endpoint, Names, Port, Resolution, Transport};

const SUFFIX: &str = "svc.cluster.local";

/// Services by host.
#[derive(Debug, Default)]
pub(crate) struct Mesh(BTreeMap<String, Answer>);

impl Mesh {
    /// With a service of the mesh or, if its host does not lie below the suffix, one outside. Ports are
    /// `NAME:NUMBER[/udp]`, endpoints `WORKLOAD=ADDRESS[*WEIGHT]`.
    pub(crate) fn with(
        mut self,
        host: &str,
        resolution: Resolution,
        ports: &[&str],
        endpoints: &[&str],
    ) -> Self {
        let answer = Answer {
            host: host.parse().unwrap(),
            external: !host.ends_with(SUFFIX),
            resolution,
            ports: ports.iter().map(|text| port(text)).collect(),
            endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
        };
        self.0.insert(host.into(), answer);
        self
    }

    /// For a change to one that is there.
    pub(crate) fn service(&mut self, host: &str) -> &mut Answer {
        self.0.get_mut(host).unwrap()
    }
}

impl Names for Mesh {
    fn find(&self, name: &str) -> Option<Answer> {
        assert_eq!(name, name.to_ascii_lowercase().trim_end_matches('.'));
        let full = match name.split('.').collect::<Vec<_>>()[..] {
            [name] => format!("{name}.default.{SUFFIX}"),
            [name, namespace] | [name, namespace, "svc"] => format!("{name}.{namespace}.{SUFFIX}"),
            _ => String::new(),
        };
        let mut wildcards = name.match_indices('.').map(|(at, _)| format!("*{}", &name[at..]));
        let exact = self.0.get(name).or_else(|| self.0.get(&full));
        let found = exact.or_else(|| wildcards.find_map(|it| self.0.get(&it)));
        found.or_else(|| self.0.get("*")).cloned()
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        self.0.keys().any(|host| host.ends_with(&format!(".{namespace}.{SUFFIX}")))
    }
}

fn port(text: &str) -> Port {
    let (name, rest) = text.split_once(':').unwrap();
    let (number, transport) = match rest.strip_suffix("/udp") {
        Some(number) => (number, Transport::Udp),
        None => (rest, Transport::Tcp),
    };
    Port { number: number.parse().unwrap(), name: name.into(), transport }
}

fn endpoint(text: &str) -> Endpoint {
    let (workload, rest) = text.split_once('=').unwrap();
    let (address, weight) = rest.split_once('*').unwrap_or((rest, "0"));
    Endpoint {
        workload: workload.into(),
        address: match address.parse() {
            Ok(ip) => Address::Ip(ip),
            Err(_) => Address::Host(address.into()),
        },
        ports: Vec::new(),
        weight: weight.parse().unwrap(),
    }
}
