//! The header fields that a proxy has to know, found by name once, when a head is parsed.

/// A header field that means something to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Known {
    /// Any other field: passed through.
    Other,
    /// `connection`
    Connection,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `cookie`
    Cookie,
    /// `endpoint-load-metrics` (ORCA).
    EndpointLoadMetrics,
    /// `endpoint-load-metrics-bin`
    EndpointLoadMetricsBin,
    /// `expect`
    Expect,
    /// `grpc-status`
    GrpcStatus,
    /// `grpc-timeout`
    GrpcTimeout,
    /// `host`
    Host,
    /// `keep-alive`
    KeepAlive,
    /// `proxy-authenticate`
    ProxyAuthenticate,
    /// `proxy-authorization`
    ProxyAuthorization,
    /// `proxy-connection`
    ProxyConnection,
    /// `te`
    Te,
    /// `trailer`
    Trailer,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `http2-settings`
    Http2Settings,
    /// `x-envoy-attempt-count`
    AttemptCount,
    /// `x-envoy-max-retries`
    MaxRetries,
    /// `x-envoy-retry-on`
    RetryOn,
    /// `x-envoy-retry-grpc-on`
    RetryGrpcOn,
    /// `x-envoy-retriable-status-codes`
    RetriableStatusCodes,
    /// `x-envoy-upstream-rq-timeout-ms`
    UpstreamTimeout,
    /// `x-envoy-upstream-rq-per-try-timeout-ms`
    PerTryTimeout,
    /// `x-forwarded-client-cert`
    ForwardedClientCert,
    /// `x-forwarded-proto`
    ForwardedProto,
    /// `x-request-id`
    RequestId,
    /// `x-meltemi-not-answered`: between two proxies only, says that the answer is the proxy's own, and whether the application
    /// may have seen the request.
    NotAnswered,
    /// `x-meltemi-denied-by`: the policy that refused the request, as a proxy of the mesh alone may say it.
    DeniedBy,
    /// `x-meltemi-report-load`: between two proxies only, asks for the workload's load with the answer.
    ReportLoad,
}

impl Known {
    /// Finds a field by its name, without regard to case.
    pub fn of(name: &[u8]) -> Known {
        let Some(first) = name.first() else { return Known::Other };
        // Length and first letter leave one candidate at most: a field that means nothing here costs one jump.
        let (candidate, known): (&[u8], Known) = match (name.len(), first | 0x20) {
            (2, b't') => (b"te", Known::Te),
            (4, b'h') => (b"host", Known::Host),
            (6, b'c') => (b"cookie", Known::Cookie),
            (6, b'e') => (b"expect", Known::Expect),
            (7, b't') => (b"trailer", Known::Trailer),
            (7, b'u') => (b"upgrade", Known::Upgrade),
            (10, b'c') => (b"connection", Known::Connection),
            (10, b'k') => (b"keep-alive", Known::KeepAlive),
            (11, b'g') => (b"grpc-status", Known::GrpcStatus),
            (12, b'c') => (b"content-type", Known::ContentType),
            (12, b'x') => (b"x-request-id", Known::RequestId),
            (12, b'g') => (b"grpc-timeout", Known::GrpcTimeout),
            (14, b'c') => (b"content-length", Known::ContentLength),
            (14, b'h') => (b"http2-settings", Known::Http2Settings),
            (16, b'p') => (b"proxy-connection", Known::ProxyConnection),
            (16, b'x') => (b"x-envoy-retry-on", Known::RetryOn),
            (17, b't') => (b"transfer-encoding", Known::TransferEncoding),
            (17, b'x') => (b"x-forwarded-proto", Known::ForwardedProto),
            (18, b'p') => (b"proxy-authenticate", Known::ProxyAuthenticate),
            (19, b'p') => (b"proxy-authorization", Known::ProxyAuthorization),
            (19, b'x') if name[2] | 0x20 == b'm' => (b"x-meltemi-denied-by", Known::DeniedBy),
            (19, b'x') => (b"x-envoy-max-retries", Known::MaxRetries),
            (21, b'e') => (b"endpoint-load-metrics", Known::EndpointLoadMetrics),
            (21, b'x') if name[2] | 0x20 == b'm' => (b"x-meltemi-report-load", Known::ReportLoad),
            (21, b'x') if name[8] | 0x20 == b'a' => (b"x-envoy-attempt-count", Known::AttemptCount),
            (21, b'x') => (b"x-envoy-retry-grpc-on", Known::RetryGrpcOn),
            (22, b'x') => (b"x-meltemi-not-answered", Known::NotAnswered),
            (23, b'x') => (b"x-forwarded-client-cert", Known::ForwardedClientCert),
            (25, b'e') => (b"endpoint-load-metrics-bin", Known::EndpointLoadMetricsBin),
            (30, b'x') if name[8] | 0x20 == b'r' => {
                (b"x-envoy-retriable-status-codes", Known::RetriableStatusCodes)
            }
            (30, b'x') => (b"x-envoy-upstream-rq-timeout-ms", Known::UpstreamTimeout),
            (38, b'x') => (b"x-envoy-upstream-rq-per-try-timeout-ms", Known::PerTryTimeout),
            _ => return Known::Other,
        };
        if name.eq_ignore_ascii_case(candidate) { known } else { Known::Other }
    }

    /// Whether the application asks the proxy beside it by this field how its request is to go.
    pub fn is_asking(self) -> bool {
        matches!(
            self,
            Known::MaxRetries
                | Known::RetryOn
                | Known::RetryGrpcOn
                | Known::RetriableStatusCodes
                | Known::UpstreamTimeout
                | Known::PerTryTimeout
        )
    }

    /// Whether a field of this kind may stand behind a body.
    pub fn may_be_trailer(self) -> bool {
        matches!(
            self,
            Known::Other
                | Known::ContentType
                | Known::GrpcStatus
                | Known::EndpointLoadMetrics
                | Known::EndpointLoadMetricsBin
        )
    }

    /// Whether the field belongs to one connection and is never passed on as it stands
    /// (RFC 9110, section 7.6.1; `te` and `upgrade` are put back where they still hold).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::ProxyAuthenticate
                | Known::ProxyAuthorization
                | Known::Te
                | Known::Trailer
                | Known::TransferEncoding
                | Known::Upgrade
                | Known::Http2Settings
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Known::of(b"Content-Length"), Known::ContentLength);
        assert_eq!(Known::of(b"X-ENVOY-ATTEMPT-COUNT"), Known::AttemptCount);
        for (name, known) in [
            ("X-Envoy-Max-Retries", Known::MaxRetries),
            ("x-envoy-retry-on", Known::RetryOn),
            ("x-envoy-retry-grpc-on", Known::RetryGrpcOn),
            ("x-envoy-retriable-status-codes", Known::RetriableStatusCodes),
            ("x-envoy-upstream-rq-timeout-ms", Known::UpstreamTimeout),
            ("x-envoy-upstream-rq-per-try-timeout-ms", Known::PerTryTimeout),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
            assert!(known.is_asking());
        }
        assert_eq!(Known::of(b"x-meltemi-not-answered"), Known::NotAnswered);
        assert_eq!(Known::of(b"x-meltemi-report-load"), Known::ReportLoad);
        assert_eq!(Known::of(b"X-Meltemi-Denied-By"), Known::DeniedBy);
        assert_eq!(Known::of(b"Endpoint-Load-Metrics"), Known::EndpointLoadMetrics);
        assert_eq!(Known::of(b"endpoint-load-metrics-Bin"), Known::EndpointLoadMetricsBin);
        assert_eq!(Known::of(b"X-Forwarded-Client-Cert"), Known::ForwardedClientCert);
        assert_eq!(Known::of(b"x-forwarded-client-cerT"), Known::ForwardedClientCert);
        assert_eq!(Known::of(b"x-fffffffff-client-cert"), Known::Other);
        assert_eq!(Known::of(b"content-lengthy"), Known::Other);
        assert_eq!(Known::of(b""), Known::Other);
    }
}
