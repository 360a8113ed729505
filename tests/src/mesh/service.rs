//! An HTTP service of several instances, each with its sidecar.

use super::{Mesh, Sidecar};
use crate::app::HttpApp;

/// The instances.
#[derive(Debug)]
pub struct HttpService {
    /// Each application and its sidecar.
    pub instances: Vec<(HttpApp, Sidecar)>,
}

impl HttpService {
    /// How many requests each instance saw.
    pub fn requests(&self) -> Vec<u64> {
        self.instances.iter().map(|(app, _)| app.requests()).collect()
    }

    /// The application of an instance.
    pub fn app(&self, at: usize) -> &HttpApp {
        &self.instances[at].0
    }

    /// The port of the first instance, which is a port of the service too.
    pub fn port(&self) -> u16 {
        self.instances[0].0.port()
    }
}

impl Mesh {
    /// Starts so many instances of a service, named `SERVICE-1` and so on, beside `meltemi proxy` sidecars, and waits
    /// until all may be called.
    pub async fn http_service(&self, name: &str, count: usize) -> HttpService {
        let mut instances = Vec::new();
        for at in 1..=count {
            let app = HttpApp::start(&format!("{name}-{at}")).await;
            let sidecar = self.workload(name).port(app.port(), "http").proxy().await;
            instances.push((app, sidecar));
        }
        HttpService { instances }
    }

    /// Starts an instance of each version of a service, named `SERVICE-VERSION`, and waits until all may be called.
    pub async fn http_versions(&self, name: &str, versions: &[&str]) -> HttpService {
        let mut instances = Vec::new();
        for version in versions {
            let app = HttpApp::start(&format!("{name}-{version}")).await;
            let workload = self.workload(name).port(app.port(), "http").version(version);
            instances.push((app, workload.proxy().await));
        }
        HttpService { instances }
    }

    /// A sidecar of a workload that only calls others.
    pub async fn client(&self) -> Sidecar {
        self.workload("client").proxy().await
    }
}
