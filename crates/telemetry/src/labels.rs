//! The labels of Istio's standard metrics: who called whom, over what, with which result.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::ResponseFlags;

/// The longest label value kept, in bytes. Values come from peers too; a longer one is cut, so that
/// no peer can make this proxy keep more.
const LONGEST: usize = 256;

static UNKNOWN: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("unknown"));

/// A label value: never empty (that is `unknown`, as Istio writes it), never above 256 bytes.
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Arc<str>);

impl Word {
    /// The value for this text.
    pub fn new(text: &str) -> Word {
        if text.is_empty() {
            return Word::default();
        }
        Word(Arc::from(&text[..text.floor_char_boundary(LONGEST)]))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Word {
    fn default() -> Word {
        Word(UNKNOWN.clone())
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Word {
        Word::new(text)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One side of a call: the words that Istio prefixes with `source_` or `destination_`. Everything
/// not known stays `unknown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// Name of the workload (for a Kubernetes pod its Deployment, here the `run --service` name).
    pub workload: Word,
    /// Namespace of the workload.
    pub namespace: Word,
    /// SPIFFE id that the connection proved, `spiffe://...` in full.
    pub principal: Word,
    /// Label `app`.
    pub app: Word,
    /// Label `version`.
    pub version: Word,
    /// Label `service.istio.io/canonical-name`, else `app`, else the workload's name.
    pub canonical_service: Word,
    /// Label `service.istio.io/canonical-revision`, else `version`, else `latest`.
    pub canonical_revision: Word,
    /// The cluster (registry) of the workload.
    pub cluster: Word,
}

/// Everything about a call that holds for a whole connection or route: both sides, the service
/// called, the protocol and how the connection was secured. Shared by the series of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerLabels {
    /// The caller.
    pub source: Party,
    /// The endpoint that was called.
    pub destination: Party,
    /// Host of the service called, `hello.default.svc.cluster.local`.
    pub service: Word,
    /// Short name of the service called, `hello`.
    pub service_name: Word,
    /// Namespace of the service called.
    pub service_namespace: Word,
    /// How the connection was secured.
    pub security: SecurityPolicy,
    /// What was spoken.
    pub protocol: RequestProtocol,
}

/// Which end of the call reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reporter {
    /// The caller's proxy.
    Source,
    /// The proxy of the endpoint.
    Destination,
}

impl Reporter {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reporter::Source => "source",
            Reporter::Destination => "destination",
        }
    }
}

/// How a connection was secured, `connection_security_policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityPolicy {
    /// Not known. Always printed where the source reports: Istio's rule, as only the destination
    /// can tell.
    #[default]
    Unknown,
    /// Plaintext.
    None,
    /// TLS with certificates of both ends.
    MutualTls,
}

impl SecurityPolicy {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            SecurityPolicy::Unknown => "unknown",
            SecurityPolicy::None => "none",
            SecurityPolicy::MutualTls => "mutual_tls",
        }
    }
}

/// What was spoken, `request_protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestProtocol {
    /// HTTP of any version.
    #[default]
    Http,
    /// gRPC.
    Grpc,
    /// Bytes.
    Tcp,
}

impl RequestProtocol {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            RequestProtocol::Http => "http",
            RequestProtocol::Grpc => "grpc",
            RequestProtocol::Tcp => "tcp",
        }
    }
}

/// The labels of one HTTP series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpLabels {
    /// Who called whom.
    pub base: Arc<PeerLabels>,
    /// Which end reports.
    pub reporter: Reporter,
    /// HTTP status sent to the caller; 0 if none was.
    pub response_code: u16,
    /// `grpc-status` of the response; empty in the output where there was none.
    pub grpc_status: Option<u8>,
    /// What went wrong, if anything.
    pub flags: ResponseFlags,
}

/// The labels of one TCP series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpLabels {
    /// Who called whom.
    pub base: Arc<PeerLabels>,
    /// Which end reports.
    pub reporter: Reporter,
    /// What went wrong, if anything.
    pub flags: ResponseFlags,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_never_empty_and_never_long() {
        assert_eq!(Word::new("").as_str(), "unknown");
        assert_eq!(Word::new("a").as_str(), "a");
        let long = Word::new(&"é".repeat(1000));
        assert_eq!(long.as_str().len(), 256);
        assert_eq!(Word::new(&format!("a{}", "é".repeat(1000))).as_str().len(), 255);
    }
}
