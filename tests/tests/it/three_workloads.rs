//! Three workloads in two namespaces, and a caller of all, for tests of which workloads a policy is for.

use meltemi_tests::{HttpApp, Mesh, Sidecar};

/// The hosts of the three.
pub(crate) const HOSTS: [&str; 3] = ["a.one", "b.one", "a.two"];

/// Two workloads of a namespace, one of another one, and a caller.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    /// Their applications.
    pub(crate) apps: [HttpApp; 3],
    /// In the order of [`HOSTS`].
    pub(crate) workloads: [Sidecar; 3],
    pub(crate) client: Sidecar,
}

impl World {
    pub(crate) async fn start() -> Self {
        let mesh = Mesh::start().await;
        let apps =
            [HttpApp::start("1").await, HttpApp::start("2").await, HttpApp::start("3").await];
        let start = async |service: &str, namespace: &str, app: &HttpApp| {
            mesh.workload(service).namespace(namespace).port(app.port(), "http").proxy().await
        };
        let workloads = [
            start("a", "one", &apps[0]).await,
            start("b", "one", &apps[1]).await,
            start("a", "two", &apps[2]).await,
        ];
        let client = mesh.client().await;
        World { mesh, apps, workloads, client }
    }
}
