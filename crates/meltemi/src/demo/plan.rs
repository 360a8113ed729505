//! Which programs the bookshop is made of, in the order in which they start: who is called first.

/// The port that callers of the bookshop's HTTP services use, as `examples/bookshop/services.yaml` has it.
const HTTP: &str = "http";
/// The catalog's address in the mesh.
const CATALOG: &str = "catalog:9090";
/// The services' resources, which are applied first.
pub(super) const SERVICES: &str = include_str!("../../../../examples/bookshop/services.yaml");
/// How many ports a bookshop takes: one a program, and that of the storefront's upstream.
pub(super) const PORTS: usize = 7;

/// One program of the bookshop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    /// The service that it belongs to.
    pub(super) service: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// Where it listens.
    pub(super) port: u16,
    /// What it speaks there.
    pub(super) protocol: &'static str,
    /// The address in the mesh that its sidecar opens a local port for.
    pub(super) upstream: Option<Upstream>,
}

/// A port on loopback that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    /// The service's address in the mesh.
    pub(super) target: &'static str,
    /// The port.
    pub(super) port: u16,
}

impl Instance {
    /// Its name among all.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.service, self.version)
    }

    /// The arguments of `meltemi` for the program itself.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["bookshop".to_owned(), self.service.to_owned()];
        arguments.push(format!("--port={}", self.port));
        if self.service == "reviews" {
            arguments.push(format!("--version={}", self.version));
        }
        if let Some(upstream) = &self.upstream {
            arguments.push(format!("--catalog=http://127.0.0.1:{}", upstream.port));
        }
        arguments
    }
}

/// The bookshop on these ports. What is in one part of the list can start together; what it calls is in the parts before.
pub(super) fn bookshop(ports: [u16; PORTS]) -> Vec<Vec<Instance>> {
    let [ratings, catalog, first, second, third, storefront, upstream] = ports;
    let instance = |service, version, port, protocol| Instance {
        service,
        version,
        port,
        protocol,
        upstream: None,
    };
    let mut front = instance("storefront", "v1", storefront, HTTP);
    front.upstream = Some(Upstream { target: CATALOG, port: upstream });
    vec![
        vec![instance("ratings", "v1", ratings, HTTP), instance("catalog", "v1", catalog, "grpc")],
        vec![
            instance("reviews", "v1", first, HTTP),
            instance("reviews", "v2", second, HTTP),
            instance("reviews", "v3", third, HTTP),
        ],
        vec![front],
    ]
}

/// The services as a customer meets them.
pub(super) const SERVICE_ORDER: [&str; 4] = ["storefront", "catalog", "reviews", "ratings"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_program_has_a_name_and_ports_of_its_own() {
        let all: Vec<Instance> = bookshop([1, 2, 3, 4, 5, 6, 7]).into_iter().flatten().collect();
        let names: BTreeSet<String> = all.iter().map(Instance::name).collect();
        assert_eq!(names.len(), 6);
        let upstreams = all.iter().filter_map(|it| it.upstream.as_ref()).map(|it| it.port);
        let ports: BTreeSet<u16> = all.iter().map(|it| it.port).chain(upstreams).collect();
        assert_eq!(ports.len(), PORTS);
        let services: BTreeSet<&str> = all.iter().map(|it| it.service).collect();
        assert_eq!(services, SERVICE_ORDER.into_iter().collect());
        for service in services {
            assert!(SERVICES.contains(&format!("  name: {service}\n")), "{service}");
        }
    }

    #[test]
    fn only_the_storefront_is_told_an_upstream_and_only_reviews_a_version() {
        let all: Vec<Instance> = bookshop([1, 2, 3, 4, 5, 6, 7]).into_iter().flatten().collect();
        let arguments = |name: &str| {
            all.iter().find(|it| it.name() == name).map(|it| it.arguments().join(" ")).unwrap()
        };
        assert_eq!(arguments("reviews-v2"), "bookshop reviews --port=4 --version=v2");
        let front = "bookshop storefront --port=6 --catalog=http://127.0.0.1:7";
        assert_eq!(arguments("storefront-v1"), front);
        assert_eq!(arguments("catalog-v1"), "bookshop catalog --port=2");
    }
}
