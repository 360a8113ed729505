//! The form in which objects are answered: whole, as a table for people, or their metadata alone.

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::object::metadata_only;
use crate::query::Parameters;
use crate::status::Failure;
use crate::table;
use crate::target::Target;

/// What the `Accept` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The objects themselves.
    Whole,
    /// A `Table`, as `kubectl get` prints it.
    Table,
    /// `PartialObjectMetadata`.
    Metadata,
}

impl Shape {
    /// The first form of the header that this server knows.
    pub(crate) fn wanted(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else {
            return Ok(Self::Whole);
        };
        accept.split(',').find_map(Self::of_range).ok_or_else(|| Failure::not_acceptable(accept))
    }

    fn of_range(range: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let (mut form, mut v1) = (None, true);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "as" => form = Some(value),
                "v" => v1 = value == "v1",
                _ => {}
            }
        }
        match form {
            None => Some(Self::Whole),
            Some("Table") if v1 => Some(Self::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if v1 => {
                Some(Self::Metadata)
            }
            Some(_) => None,
        }
    }

    /// One object in this form.
    pub(crate) fn one(self, target: &Target, parameters: &Parameters, object: Value) -> Value {
        match self {
            Self::Whole => object,
            Self::Metadata => metadata_only(&object),
            Self::Table => {
                let version = object.pointer("/metadata/resourceVersion").cloned();
                let metadata = json!({"resourceVersion": version});
                table::build(target, parameters, &[object], metadata, true)
            }
        }
    }

    /// One object in this form, as one of many events: only the first brings the head of the table.
    pub(crate) fn event(
        self,
        target: &Target,
        parameters: &Parameters,
        object: Value,
        first: bool,
    ) -> Value {
        match self {
            Self::Table => table::build(target, parameters, &[object], json!({}), first),
            _ => self.one(target, parameters, object),
        }
    }

    /// A list in this form.
    pub(crate) fn many(
        self,
        target: &Target,
        parameters: &Parameters,
        items: Vec<Value>,
        metadata: Value,
    ) -> Value {
        match self {
            Self::Whole => json!({
                "kind": format!("{}List", target.kind.kind()),
                "apiVersion": target.api_version(),
                "metadata": metadata,
                "items": items,
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items.iter().map(metadata_only).collect::<Vec<_>>(),
            }),
            Self::Table => table::build(target, parameters, &items, metadata, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_form_is_taken() {
        let cases = [
            ("application/json", Some(Shape::Whole)),
            ("*/*", Some(Shape::Whole)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Shape::Table)),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Some(Shape::Whole),
            ),
            ("application/vnd.kubernetes.protobuf, application/json", Some(Shape::Whole)),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some(Shape::Metadata),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ];
        for (accept, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Shape::wanted(&headers).ok(), expected, "{accept}");
        }
    }
}
