//! A folder of YAML as the store.

use meltemi_control::StoreChoice;

use crate::mesh::{Mesh, registered, soon};

#[tokio::test]
async fn a_folder_of_yaml_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mesh = Mesh::start_with(|options| options.store = StoreChoice::Directory(path)).await;
    let mut web = mesh.member("web").await.subscribe("web");
    web.connected(true).await;
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {ports: [{name: http, port: 80}], selector: {app: hello}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm-1}
spec: {address: 127.0.0.9, labels: {app: hello}}
";
    std::fs::write(folder.path().join("hello.yaml"), text).unwrap();
    web.sees("vm-1").await;
    std::fs::remove_file(folder.path().join("hello.yaml")).unwrap();
    web.loses("vm-1").await;
}

#[tokio::test]
async fn registrations_are_kept_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mesh = Mesh::start_with(|options| options.store = StoreChoice::Directory(path)).await;
    let member = mesh.member("web").await;
    let mut web = member.subscribe("web");
    let hello = mesh.member("hello").await.register("hello-1", "127.0.0.1");
    registered(&hello).await;
    web.sees("hello-1").await;
    let entry = "networking.istio.io/workloadentries/default/hello-1.yaml";
    assert!(folder.path().join(entry).exists());

    let mesh = mesh.restart().await;
    web.connected(true).await;
    assert!(web.pending().iter().all(|update| update.removed.is_empty()));
    mesh.member("web").await.subscribe("newcomer").sees("hello-1").await;
    registered(&hello).await;
    soon("the drain", hello.drain()).await.unwrap();
    assert!(!folder.path().join(entry).exists());
}
