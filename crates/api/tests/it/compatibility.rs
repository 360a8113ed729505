//! The tables of `docs/compatibility.md` name every field of the kinds for traffic, and agree with what is said of
//! fields when they are applied.

use std::collections::{BTreeMap, BTreeSet};

use meltemi_api::{Kind, MeshConfig, Options, Source, effect, parse, schema};
use serde_json::Value;

const DOC: &str = include_str!("../../../../docs/compatibility.md");

const KINDS: [Kind; 13] = [
    Kind::VirtualService,
    Kind::DestinationRule,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
    Kind::WorkloadGroup,
    Kind::Sidecar,
    Kind::ProxyConfig,
    Kind::PeerAuthentication,
    Kind::RequestAuthentication,
    Kind::AuthorizationPolicy,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::ReferenceGrant,
];

/// What a row says of its field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Honoured,
    WithoutEffect,
    Refused,
    /// All below is as below this other field.
    As(String),
}

/// The fields of a kind that hold values, `[]` for the items of a list, `*` for the keys of a map.
fn fields(kind: Kind) -> BTreeSet<String> {
    fn walk(root: &Value, at: &str, schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#')).unwrap();
            walk(root, at, target, found);
        } else if let Some(properties) = schema["properties"].as_object() {
            for (name, schema) in properties {
                walk(root, &format!("{at}.{name}"), schema, found);
            }
        } else if schema["items"].is_object() {
            walk(root, &format!("{at}[]"), &schema["items"], found);
        } else if schema["additionalProperties"].is_object() {
            walk(root, &format!("{at}.*"), &schema["additionalProperties"], found);
        } else {
            assert!(found.insert(at.to_owned()), "{at}");
        }
    }
    let (root, mut found) = (schema(kind), BTreeSet::new());
    walk(&root, "spec", &root["properties"]["spec"], &mut found);
    found
}

/// The rows of the section of a kind.
fn rows(kind: Kind) -> BTreeMap<String, Row> {
    let section = DOC.split("\n## ").find(|section| section.starts_with(&format!("{kind}\n")));
    let section = section.unwrap_or_else(|| panic!("docs/compatibility.md has no `## {kind}`"));
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `spec")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [field, effect, _note] = cells[..] else { panic!("not three cells: {line}") };
        let row = match effect {
            "honoured" => Row::Honoured,
            "accepted without effect" => Row::WithoutEffect,
            "refused" => Row::Refused,
            other => match other.strip_prefix("as `").and_then(|it| it.strip_suffix('`')) {
                Some(other) => Row::As(other.to_owned()),
                None => panic!("an unknown effect: {line}"),
            },
        };
        let field = field.trim_matches('`').to_owned();
        assert!(rows.insert(field, row).is_none(), "{kind}: twice: {line}");
    }
    rows
}

/// What the table says of a field, and the row that says it. A row of its own goes before one for what is above.
fn look_up(field: &str, rows: &BTreeMap<String, Row>) -> Option<(Row, Vec<String>)> {
    let (mut field, mut used) = (field.to_owned(), Vec::new());
    for _ in 0..4 {
        match rows.get(&field) {
            Some(Row::As(_)) | None => {}
            Some(row) => {
                used.push(field.clone());
                return Some((row.clone(), used));
            }
        }
        let (above, other, rest) = rows.iter().rev().find_map(|(above, row)| match row {
            Row::As(other) => Some((above, other, field.strip_prefix(&format!("{above}."))?)),
            _ => None,
        })?;
        used.push(above.clone());
        field = format!("{other}.{rest}");
    }
    None
}

#[test]
fn every_field_has_a_row_and_every_row_a_field() {
    for kind in KINDS {
        let rows = rows(kind);
        let mut unused: BTreeSet<&String> = rows.keys().collect();
        for field in fields(kind) {
            let (_, used) = look_up(&field, &rows)
                .unwrap_or_else(|| panic!("docs/compatibility.md: {kind} has no row for {field}"));
            for row in used {
                unused.remove(&row);
            }
        }
        assert!(unused.is_empty(), "docs/compatibility.md: {kind} has no fields {unused:?}");
    }
}

#[test]
fn what_the_tables_say_is_what_is_told_of_fields() {
    for kind in KINDS {
        let rows = rows(kind);
        for field in fields(kind) {
            let (row, _) = look_up(&field, &rows).unwrap();
            let has_effect = effect::has_effect(kind, &field);
            assert_eq!(row != Row::WithoutEffect, has_effect, "{kind} {field}: {row:?}");
        }
    }
}

const TO: &str = "route: [{destination: {host: a}}]";

/// A virtual service with one route for HTTP, and more in it.
fn virtual_service(more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
         spec:\n  hosts: [a]\n  http:\n  - {TO}\n    {more}\n"
    )
}

fn read(text: String) -> Result<meltemi_api::Accepted, Vec<meltemi_api::Finding>> {
    parse(&[Source { file: "a.yaml".into(), text }], &Options::default())
}

#[test]
fn what_the_tables_call_refused_is_refused() {
    let refused: Vec<(&str, &str)> = vec![
        ("spec.http[].fault.abort.http2Error", "fault: {abort: {http2Error: CANCEL}}"),
        ("spec.http[].fault.delay.exponentialDelay", "fault: {delay: {exponentialDelay: 1s}}"),
    ];
    let said = KINDS.iter().flat_map(|kind| {
        let refused = rows(*kind).into_iter().filter(|(_, row)| *row == Row::Refused);
        refused.map(|(field, _)| field)
    });
    let named: Vec<_> = refused.iter().map(|(field, _)| (*field).to_owned()).collect();
    assert_eq!(said.collect::<Vec<_>>(), named);
    for (field, more) in refused {
        let findings = read(virtual_service(more)).unwrap_err();
        let path = field.replace("[]", "[0]");
        assert!(findings.iter().any(|it| it.is_error() && it.path == path), "{findings:?}");
    }
}

#[test]
fn fields_without_effect_are_warned_of_where_they_stand() {
    let text = virtual_service("timeout: 1s")
        + "  tcp: [{match: [{port: 80, sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: a}}]}]\n";
    let accepted = read(text).unwrap();
    let told: Vec<_> =
        accepted.objects[0].without_effect().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [format!(
            "a.yaml:9:29: warning: VirtualService default/a: spec.tcp[0].match[0].sourceSubnet: {}",
            effect::MESSAGE
        )]
    );
    let accepted = read(virtual_service("timeout: 1s")).unwrap();
    assert_eq!(accepted.objects[0].without_effect(), []);
}

/// The blocks of YAML in a page.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("```yaml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_the_pages_show_is_taken_and_has_an_effect() {
    let mut blocks = blocks(include_str!("../../../../docs/traffic.md"));
    assert!(blocks.len() > 10, "{}", blocks.len());
    let tokens = self::blocks(include_str!("../../../../docs/request-authentication.md"));
    assert_eq!(tokens.len(), 3);
    blocks.extend(tokens);
    let policies = self::blocks(include_str!("../../../../docs/authorization.md"));
    let (settings, policies): (Vec<_>, Vec<_>) =
        policies.into_iter().partition(|it| !it.starts_with("apiVersion:"));
    assert_eq!(policies.len(), 7);
    // The example's files are what the page shows.
    let shown = include_str!("../../../../examples/external-authorization/mesh.yaml");
    assert!(settings.iter().any(|it| it == shown), "{shown}");
    let example = include_str!("../../../../examples/external-authorization/policy.yaml");
    assert!(policies.iter().any(|it| it == example), "{example}");
    for text in settings {
        let config = MeshConfig::parse("mesh.yaml", &text).unwrap();
        assert_ne!(config, MeshConfig::default(), "{text}");
    }
    blocks.extend(policies);
    let run = self::blocks(include_str!("../../../../docs/run-a-service.md"));
    assert_eq!(run.len(), 2);
    blocks.extend(run);
    blocks.push(include_str!("../../../../examples/traffic/canary.yaml").to_owned());
    for block in blocks {
        let accepted = read(block.clone()).unwrap_or_else(|error| panic!("{error:?}\n{block}"));
        assert_eq!(accepted.warnings, [], "{block}");
        for object in accepted.objects {
            assert_eq!(object.without_effect(), [], "{block}");
        }
    }
}
