//! What is done with requests on their way.

use meltemi_api::gateway_api::filter::{
    Cors, HeaderFilter, PathModifier, PathModifierType, RequestMirror, RequestRedirect, Scheme,
    UrlRewrite,
};
use meltemi_api::gateway_api::http_route::{HttpFilter, HttpFilterType};
use meltemi_policy::route::rule::{
    CorsPolicy, Header, HeaderOperations, Headers, Mirror, PathRewrite, Percentage, Redirect,
    RedirectPort, Rewrite, StringMatch, UnmatchedPreflights,
};

use super::Reader;
use crate::routes::RouteRecord;

/// The status of a redirect that names none.
const FOUND: u16 = 302;
/// How long a browser remembers what CORS says, in seconds, where a route does not say it.
const MAX_AGE: u64 = 5;

/// What the filters of a rule or of a backend say together.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) headers: Headers,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) redirect: Option<Redirect>,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) cors_policy: Option<CorsPolicy>,
    /// Why requests cannot be done as a filter says: they must not pass without it, and get an error.
    pub(super) unusable: Option<String>,
}

impl Filters {
    /// What counts of the filters of a backend: the changes of headers.
    pub(super) fn of_backend(
        self,
        path: &str,
        record: &mut RouteRecord,
    ) -> (Headers, Option<String>) {
        let is_more = !self.mirrors.is_empty()
            || self.redirect.is_some()
            || self.rewrite.is_some()
            || self.cors_policy.is_some();
        if self.unusable.is_none() && is_more {
            let reason = "a backend's filters can change headers and nothing else".to_owned();
            let told = format!("{path}.filters: {reason}");
            record.flaws.push(format!("{told}; requests to it are answered with an error"));
            record.unsupported.push(told);
            return (self.headers, Some(reason));
        }
        (self.headers, self.unusable)
    }
}

impl Reader<'_> {
    pub(super) fn filters(&mut self, path: &str, given: &[HttpFilter]) -> Filters {
        let mut found = Filters::default();
        for (at, filter) in given.iter().enumerate() {
            if let Some(headers) = &filter.request_header_modifier {
                found.headers.request = operations(headers);
            }
            if let Some(headers) = &filter.response_header_modifier {
                found.headers.response = operations(headers);
            }
            if let Some(mirror) = &filter.request_mirror {
                let path = format!("{path}.filters[{at}].requestMirror");
                found.mirrors.extend(self.mirror(&path, mirror));
            }
            found.redirect = filter.request_redirect.as_ref().map(redirect).or(found.redirect);
            found.rewrite = filter.url_rewrite.as_ref().map(rewrite).or(found.rewrite);
            found.cors_policy = filter.cors.as_ref().map(cors).or(found.cors_policy);
            let kind = filter.r#type;
            if matches!(kind, HttpFilterType::ExtensionRef | HttpFilterType::ExternalAuth) {
                let reason = format!("there is no filter of type {kind:?} here");
                let told = format!("{path}.filters[{at}]: {reason}");
                self.record.flaws.push(format!("{told}; requests are answered with an error"));
                self.record.unsupported.push(told);
                found.unusable = Some(reason);
            }
        }
        found
    }

    fn mirror(&mut self, path: &str, given: &RequestMirror) -> Option<Mirror> {
        let whole = |number: i32| u32::try_from(number).unwrap_or_default();
        let percentage = match (given.percent, given.fraction) {
            (_, Some(of)) => {
                Percentage::from_fraction(whole(of.numerator), whole(of.denominator.unwrap_or(100)))
            }
            (Some(percent), None) => Percentage::from_fraction(whole(percent), 100),
            (None, None) => Percentage::ALL,
        };
        match self.destination(path, &given.backend_ref) {
            Ok(destination) => Some(Mirror { destination, percentage }),
            Err(reason) => {
                self.record.flaws.push(format!("{path}: {reason}; nobody gets a copy"));
                None
            }
        }
    }
}

fn operations(given: &HeaderFilter) -> HeaderOperations {
    let list = |headers: &[meltemi_api::gateway_api::filter::Header]| {
        let read = headers.iter();
        read.map(|it| Header { name: it.name.clone(), value: it.value.clone() }).collect()
    };
    HeaderOperations { set: list(&given.set), add: list(&given.add), remove: given.remove.clone() }
}

/// A redirect. Where no port is named it is that of the scheme, if one is named, else the one that was asked for.
fn redirect(given: &RequestRedirect) -> Redirect {
    let by_scheme = match given.scheme {
        Some(_) => RedirectPort::FromProtocolDefault,
        None => RedirectPort::FromRequestPort,
    };
    Redirect {
        uri: given.path.as_ref().map(path),
        authority: given.hostname.clone(),
        port: Some(given.port.as_ref().map_or(by_scheme, |it| RedirectPort::Number(it.number()))),
        scheme: given.scheme.map(|scheme| match scheme {
            Scheme::Http => "http".to_owned(),
            Scheme::Https => "https".to_owned(),
        }),
        code: given.status_code.unwrap_or(FOUND),
    }
}

fn rewrite(given: &UrlRewrite) -> Rewrite {
    Rewrite { uri: given.path.as_ref().map(path), authority: given.hostname.clone() }
}

fn path(given: &PathModifier) -> PathRewrite {
    match given.r#type {
        PathModifierType::ReplaceFullPath => {
            PathRewrite::Full(given.replace_full_path.clone().unwrap_or_default())
        }
        PathModifierType::ReplacePrefixMatch => {
            PathRewrite::Prefix(given.replace_prefix_match.clone().unwrap_or_default())
        }
    }
}

/// CORS: pages of other origins get no leave, and their preflight requests are answered without it.
fn cors(given: &Cors) -> CorsPolicy {
    CorsPolicy {
        allow_origins: given.allow_origins.iter().map(|it| origin(it)).collect(),
        allow_methods: given.allow_methods.clone(),
        allow_headers: given.allow_headers.clone(),
        expose_headers: given.expose_headers.clone(),
        max_age_s: Some(given.max_age.and_then(|it| it.try_into().ok()).unwrap_or(MAX_AGE)),
        allow_credentials: given.allow_credentials.unwrap_or_default(),
        unmatched_preflights: UnmatchedPreflights::Ignore,
    }
}

/// An origin; `*` within one stands for any letters.
fn origin(given: &str) -> StringMatch {
    if given == "*" || !given.contains('*') {
        return StringMatch::Exact(given.to_owned());
    }
    let mut pattern = String::new();
    for letter in given.chars() {
        match letter {
            '*' => pattern.push_str(".*"),
            _ if letter.is_ascii_alphanumeric() || letter == '/' || letter == ':' => {
                pattern.push(letter);
            }
            _ if letter.is_ascii() => pattern.extend(['\\', letter]),
            _ => pattern.push(letter),
        }
    }
    StringMatch::Regex(pattern)
}
