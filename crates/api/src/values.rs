//! Small values that many kinds use: durations, ports, numbers or names, conditions.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

pub(crate) mod form;
mod text;

pub use text::{
    is_base64, is_cidr, is_gateway_duration, is_header_name, parse_duration,
    parse_gateway_duration, regex_problem,
};

/// A span of time as protobuf's JSON writes it: seconds with a fraction and an `s`, and as Go writes it: `1h2m3.5s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "duration"})
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A port of TCP or UDP, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u32")]
pub struct Port(u16);

impl Port {
    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<u32> for Port {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        u16::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .map(Self)
            .ok_or_else(|| format!("{number} is not a port (1 to 65535)"))
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "format": "port", "minimum": 1, "maximum": 65535})
    }
}

/// A port by its number, or by the name that the workload gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum PortOrName {
    /// The number.
    Number(Port),
    /// The name.
    Name(String),
}

impl JsonSchema for PortOrName {
    fn schema_name() -> Cow<'static, str> {
        "PortOrName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "format": "port-or-name"})
    }
}

/// One thing that the server tells of an object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, as in `Healthy`.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason in a word.
    pub reason: String,
    /// The reason for people.
    pub message: String,
    /// When it was looked at last.
    pub last_probe_time: String,
    /// When the status changed last.
    pub last_transition_time: String,
    /// When it was written last.
    pub last_update_time: String,
    /// The generation of the object that it speaks of.
    pub observed_generation: Option<Generation>,
}

/// A generation: a number in Kubernetes' types, a number or a text in Istio's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Generation {
    /// As a number.
    Number(i64),
    /// As a text.
    Text(String),
}

impl JsonSchema for Generation {
    fn schema_name() -> Cow<'static, str> {
        "Generation".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}
