//! Schemas of texts with a form of their own: `#[schemars(with = "form::Host")]` has a field checked for it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $format:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format})
            }
        }
    )*};
}

forms! {
    /// A host name or IP address, perhaps with `*.` before it.
    Host = "host";
    /// An IP address, or a block of them.
    Cidr = "cidr";
    /// The name of an HTTP header.
    Header = "header";
    /// One label of a DNS name, as namespaces have.
    DnsLabel = "dns-label";
    /// A DNS name, as most objects have.
    DnsName = "dns-name";
    /// A duration of the Gateway API.
    GatewayDuration = "gateway-duration";
    /// Bytes in base64.
    Base64 = "base64";
    /// A regular expression (RE2).
    Regex = "regex";
    /// Any text that is not empty.
    Filled = "filled";
}
