//! Authorizers outside, whom CUSTOM policies name: Istio's `extensionProviders`, as they travel and as a proxy uses them.
//!
//! Names and meanings are Istio's
//! (<https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig-ExtensionProvider>); the protocols are Envoy's
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter>).

use std::collections::BTreeMap;
use std::ops::Not;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::matcher::Patterns;

/// How long an authorizer is waited for where nothing is said (Istio's default).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// What callers get when the authorizer cannot say it, where nothing is said (Envoy's default).
pub const DEFAULT_STATUS_ON_ERROR: u16 = 403;

/// An authorizer outside, as it travels to the proxies that ask it. What one does not know makes it unusable, and what the
/// policies that name it match is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The name by which policies call it.
    pub name: String,
    /// The host of its service.
    pub service: String,
    /// The namespace of its service; any where it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The port of its service.
    pub port: u16,
    /// How long its answer is waited for.
    pub timeout_ms: u64,
    /// Whether requests pass when it cannot be asked.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub fail_open: bool,
    /// What callers get when it cannot be asked, and they do not pass.
    pub status_on_error: u16,
    /// What it is shown of bodies; nothing where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// How it is asked.
    pub protocol: Protocol,
}

/// How an authorizer is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// By the call `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
    /// By a request like the one that is to be judged.
    Http(Http),
}

/// What is shown of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Body {
    /// The most, bytes.
    pub max_request_bytes: u32,
    /// Whether of a longer one the beginning is shown; else it is refused with 413.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub allow_partial_message: bool,
    /// Whether it goes as bytes rather than as text (gRPC alone).
    #[serde(default, skip_serializing_if = "Not::not")]
    pub pack_as_bytes: bool,
}

/// What goes to an authorizer by HTTP, and comes back. Names of headers may begin or end with `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// What stands before the path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// Headers of the request that it is shown, besides `authorization`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include_request_headers_in_check: Vec<String>,
    /// Headers that each question bears.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub include_additional_headers_in_check: BTreeMap<String, String>,
    /// Headers of a permission that the application is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers_to_upstream_on_allow: Vec<String>,
    /// Headers of a refusal that the caller is given; all where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers_to_downstream_on_deny: Vec<String>,
    /// Headers of a permission that the caller is given with the application's answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers_to_downstream_on_allow: Vec<String>,
}

/// An authorizer as a proxy uses it.
#[derive(Debug)]
pub struct Authorizer {
    /// What was said of it.
    pub said: Provider,
    /// For the protocol HTTP: which headers go where.
    pub names: Option<Box<HttpNames>>,
}

/// Which headers of questions and answers by HTTP go where.
#[derive(Debug)]
pub struct HttpNames {
    /// From the request to the authorizer.
    pub to_check: NamePatterns,
    /// From a permission to the application.
    pub to_upstream: NamePatterns,
    /// From a refusal to the caller; `None` for all.
    pub on_deny: Option<NamePatterns>,
    /// From a permission to the caller.
    pub on_allow: NamePatterns,
}

/// Always shown to an authorizer, besides method, path, host and length (Envoy's `allowed_headers`).
const ALWAYS_SHOWN: &str = "authorization";
/// Always passed on with a refusal where a list is given (Envoy's `allowed_client_headers`; the status goes anyhow).
const ALWAYS_TOLD: [&str; 2] = ["www-authenticate", "location"];

impl Authorizer {
    /// Makes it ready for use.
    pub fn new(said: Provider) -> Authorizer {
        let names = match &said.protocol {
            Protocol::Grpc => None,
            Protocol::Http(http) => Some(Box::new(HttpNames::of(http))),
        };
        Authorizer { said, names }
    }

    /// How long its answer is waited for.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.said.timeout_ms)
    }
}

impl HttpNames {
    fn of(http: &Http) -> HttpNames {
        let with = |list: &[String], always: &[&str]| {
            let said = list.iter().map(String::as_str);
            NamePatterns::new(said.chain(always.iter().copied()))
        };
        let on_deny = &http.headers_to_downstream_on_deny;
        HttpNames {
            to_check: with(&http.include_request_headers_in_check, &[ALWAYS_SHOWN]),
            to_upstream: with(&http.headers_to_upstream_on_allow, &[]),
            on_deny: (!on_deny.is_empty()).then(|| with(on_deny, &ALWAYS_TOLD)),
            on_allow: with(&http.headers_to_downstream_on_allow, &[]),
        }
    }
}

/// Names of headers, exact or with `*` at one end, in any case.
#[derive(Debug)]
pub struct NamePatterns(Patterns);

impl NamePatterns {
    /// Reads them.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> NamePatterns {
        NamePatterns(Patterns::new(texts))
    }

    /// Whether a name is one of them.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.0.matches_folded(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_some_without_being_said() {
        let http = Http {
            include_request_headers_in_check: vec!["X-Team".into(), "x-own-*".into()],
            headers_to_downstream_on_deny: vec!["*-reason".into()],
            ..Http::default()
        };
        let names = HttpNames::of(&http);
        for (name, shown) in [
            ("x-team", true),
            ("X-OWN-a", true),
            ("Authorization", true),
            ("cookie", false),
            ("x-tea", false),
        ] {
            assert_eq!(names.to_check.matches(name.as_bytes()), shown, "{name}");
        }
        let on_deny = names.on_deny.unwrap();
        for (name, told) in [("x-reason", true), ("Location", true), ("set-cookie", false)] {
            assert_eq!(on_deny.matches(name.as_bytes()), told, "{name}");
        }
        assert!(!names.to_upstream.matches(b"x-team"));
        assert!(HttpNames::of(&Http::default()).on_deny.is_none());
    }

    #[test]
    fn a_field_that_is_not_known_makes_it_unreadable() {
        let good = r#"{"name":"a","service":"b.c","port":80,"timeoutMs":1,"statusOnError":403,"protocol":"grpc"}"#;
        let read: Provider = serde_json::from_str(good).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), good);
        for wrong in [
            good.replace("\"port\"", "\"door\":1,\"port\""),
            good.replace("\"grpc\"", "{\"http\":{\"x\":1}}"),
            good.replace("\"grpc\"", "\"smoke\""),
        ] {
            assert!(serde_json::from_str::<Provider>(&wrong).is_err(), "{wrong}");
        }
    }
}
