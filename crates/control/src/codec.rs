//! The text of the directory store's files: YAML or JSON, read by the very rules of `meltemi apply`.

use std::path::Path;

use bytes::Bytes;
use meltemi_api::parse::{Options, Parsed, Source, parse};
use meltemi_api::{Finding, yaml};
use meltemi_store::{Codec, Document, Key};
use serde_json::Value;

/// Reads and writes resource files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct YamlCodec;

impl Codec for YamlCodec {
    fn decode(&self, _: &Path, text: &str) -> Result<Vec<Document>, String> {
        // The store tells the path itself.
        let source = Source { file: String::new(), text: text.to_owned() };
        let accepted = parse(&[source], &Options::default()).map_err(|all| told(&all))?;
        accepted.objects.iter().map(document).collect()
    }

    fn encode(&self, path: &Path, _: &Key, value: &[u8]) -> Result<String, String> {
        let value: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if path.extension().is_some_and(|it| it == "json") {
            return serde_json::to_string_pretty(&value)
                .map(|text| text + "\n")
                .map_err(|error| error.to_string());
        }
        Ok(yaml::write(&value))
    }
}

fn document(parsed: &Parsed) -> Result<Document, String> {
    let (kind, name) = (parsed.kind(), parsed.name());
    if name.is_empty() {
        return Err(format!(
            "line {}: the {kind} has no metadata.name, which an object in a file needs",
            parsed.line
        ));
    }
    let key = Key::new(kind.group(), kind.plural(), parsed.namespace(), name);
    Ok(Document { key, value: Bytes::from(parsed.value.to_string()) })
}

/// All that is wrong, each with its place.
fn told(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error());
    let lines: Vec<String> = errors
        .map(|finding| match finding.line {
            0 => finding.to_string(),
            line => format!("line {line}: {finding}"),
        })
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {ports: [{name: http, port: 80}], selector: {app: hello}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";

    #[test]
    fn files_are_read_by_the_rules_of_apply() {
        let documents = YamlCodec.decode(Path::new("x.yaml"), TWO).unwrap();
        let keys: Vec<_> = documents.iter().map(|it| it.key.to_string()).collect();
        assert_eq!(keys, ["services default/hello", "namespaces shop"]);
        let value: Value = serde_json::from_slice(&documents[0].value).unwrap();
        assert_eq!(value["metadata"]["namespace"], "default");

        let broken = TWO.replace("port: 80", "port: 70000");
        let message = YamlCodec.decode(Path::new("x.yaml"), &broken).unwrap_err();
        assert!(message.contains("line 4") && message.contains("70000"), "{message}");
        let nameless = TWO.replace("name: shop", "generateName: shop-");
        let message = YamlCodec.decode(Path::new("x.yaml"), &nameless).unwrap_err();
        assert!(message.contains("metadata.name"), "{message}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let document = YamlCodec.decode(Path::new("x"), TWO).unwrap().remove(0);
        for path in ["x.yaml", "x.json"] {
            let text = YamlCodec.encode(Path::new(path), &document.key, &document.value).unwrap();
            assert_eq!(text.starts_with('{'), path == "x.json", "{text}");
            let again = YamlCodec.decode(Path::new(path), &text).unwrap();
            let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
            assert_eq!(again[0].key, document.key);
            assert_eq!(value(&again[0].value), value(&document.value));
        }
    }
}
