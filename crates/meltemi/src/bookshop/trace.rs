//! The headers that an application in a mesh passes on, so that the proxies' spans make one trace.

use http::HeaderMap;

/// The request's id, then the trace contexts of W3C and of Zipkin.
const CARRIED: [&str; 9] = [
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
];

/// Those of the incoming request's headers that go with the requests that are made for its sake.
pub(super) fn carried(incoming: &HeaderMap) -> HeaderMap {
    let mut outgoing = HeaderMap::new();
    for name in CARRIED {
        for value in incoming.get_all(name) {
            outgoing.append(name, value.clone());
        }
    }
    outgoing
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_belongs_to_the_trace_is_passed_on() {
        let mut incoming = HeaderMap::new();
        for (name, value) in [
            ("traceparent", "00-1-2-01"),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("x-request-id", "r"),
            ("authorization", "secret"),
            ("host", "storefront"),
        ] {
            incoming.append(name, HeaderValue::from_static(value));
        }
        let outgoing = carried(&incoming);
        assert_eq!(outgoing.len(), 4);
        assert_eq!(outgoing["traceparent"], "00-1-2-01");
        assert_eq!(outgoing.get_all("tracestate").iter().count(), 2);
        assert!(!outgoing.contains_key("authorization") && !outgoing.contains_key("host"));
    }
}
