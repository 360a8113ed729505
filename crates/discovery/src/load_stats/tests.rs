use meltemi_model::record::ObjectKind;
use meltemi_model::{Change, Model, Object, Settings, read};
use meltemi_wire::xds::node;
use serde_json::json;

use super::*;

/// A drain may take longer than it is known who has left.
#[test]
fn who_has_had_its_name_on_a_stream_keeps_it_to_the_end_of_that() {
    let domain = "cluster.local".parse().expect("a domain");
    let settings = Settings::new(domain, "svc.cluster.local");
    let mut model = Model::new(settings.clone());
    let object = || Object::new(ObjectKind::WorkloadEntry, "shop", "web-1");
    let entry = json!({
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {"address": "10.0.0.1", "serviceAccount": "web"},
    });
    let (there, _) = model.apply(1, vec![read::change(object(), &entry, &settings)]);
    let (gone, _) = model.apply(2, vec![Change::Remove(object())]);
    let identity: SpiffeId = "spiffe://cluster.local/ns/shop/sa/web".parse().expect("an id");
    let nobody_left = Left::new(Instant::now());
    let mut reporter = Reporter { identity: Arc::new(identity), workload: None, was_member: false };
    reporter.introduce(&node("web-1", "shop", "web", "10.0.0.1", &Default::default()));
    let mut name = |snapshot: &Snapshot| reporter.in_mesh(snapshot, &nobody_left).0;
    assert_eq!(name(&gone), "shop/sa/web", "it never was there");
    assert_eq!(name(&there), "shop/web-1");
    assert_eq!(name(&gone), "shop/web-1");
    reporter.introduce(&node("web-2", "shop", "web", "10.0.0.1", &Default::default()));
    assert_eq!(
        reporter.in_mesh(&there, &nobody_left).0,
        "shop/sa/web",
        "another name is not its own"
    );
}
