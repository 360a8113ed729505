//! What the settings make of other trust domains, without a network.

use std::time::SystemTime;

use meltemi_api::MeshConfig;
use meltemi_identity::ca::Authority;
use serde_json::json;

use super::*;

fn root(domain: &str) -> TrustBundle {
    let dir = tempfile::tempdir().unwrap();
    let domain = domain.parse().unwrap();
    Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap().bundle()
}

fn open(config: serde_json::Value, state_dir: &Path) -> Result<Federated, ControlError> {
    let mut options = Options::new(state_dir, "a.example".parse().unwrap());
    options.mesh_config = MeshConfig::parse("mesh.yaml", &config.to_string()).unwrap();
    Federated::open(&options, state_dir)
}

fn domain(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

#[test]
fn roots_go_to_the_trust_domains_that_they_are_for_and_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let [ca, ours, b, more_of_b, old] = ["a", "a", "b", "b", "old"].map(root);
    let entry = |bundle: &TrustBundle, domains: &[&str]| json!({"pem": bundle.to_pem(), "trustDomains": domains});
    let config = json!({
        "trustDomainAliases": ["old.example", "older.example", "a.example"],
        "caCertificates": [
            entry(&ours, &[]),
            entry(&b, &["b.example"]),
            entry(&more_of_b, &["b.example", "a.example"]),
            entry(&old, &["old.example"]),
            {"spiffeBundleUrl": "https://c.example/", "trustDomains": ["c.example"]},
        ],
    });
    let federated = open(config, dir.path()).unwrap();
    let all = ca.with(&ours).unwrap().with(&more_of_b).unwrap();
    assert_eq!(federated.beside(ca), all);
    let both = b.with(&more_of_b).unwrap();
    let bundles = [(domain("b.example"), both), (domain("old.example"), old)];
    let aliases = ["old.example", "older.example"].map(domain);
    assert_eq!(federated.federation(), Federation::new(aliases, bundles));
}

#[test]
fn what_was_fetched_outlives_a_restart_and_goes_when_it_is_taken_back() {
    let (dir, roots) = (tempfile::tempdir().unwrap(), root("c"));
    let url = "https://c.example/";
    let config =
        json!({"caCertificates": [{"spiffeBundleUrl": url, "trustDomains": ["c.example"]}]});
    let federated = open(config.clone(), dir.path()).unwrap();
    assert_eq!(federated.federation(), Federation::default());
    assert!(federated.sources[0].take(url, Some(roots.clone())));
    assert!(!federated.sources[0].take(url, Some(roots.clone())));
    let kept = federated.sources.iter().filter_map(Source::fetched).collect();
    kept::write(&federated.file, &kept).unwrap();

    let federated = open(config.clone(), dir.path()).unwrap();
    let expected = Federation::new([], [(domain("c.example"), roots)]);
    assert_eq!(federated.federation(), expected);
    assert!(federated.sources[0].take(url, None));
    assert_eq!(federated.federation(), Federation::default());

    std::fs::write(&federated.file, "[").unwrap();
    assert_eq!(open(config, dir.path()).unwrap().federation(), Federation::default());
}

#[test]
fn what_cannot_be_a_root_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let good = root("b").to_pem();
    let config = json!({"caCertificates": [
        {"pem": good, "trustDomains": ["b.example"]},
        {"pem": "none", "trustDomains": ["c.example"]},
    ]});
    let error = open(config, dir.path()).unwrap_err().to_string();
    assert!(error.contains("caCertificates[1]") && error.contains("no certificate"), "{error}");
}
