//! What a test looks at.

/// A fact of a connection or of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Attribute {
    Principal,
    Namespace,
    ServiceAccount,
    SourceIp,
    RemoteIp,
    RequestPrincipal,
    Audience,
    Presenter,
    /// A claim of the token, by its path.
    Claim(Box<[Box<str>]>),
    /// A header, by its name.
    Header(Box<str>),
    Host,
    Port,
    Method,
    Path,
    /// So many parts of the path from the one of this number on. No field asks for them: templates are found by them.
    Parts(u16, u16),
    DestinationIp,
    Sni,
    /// One that this proxy does not know (`experimental.envoy.filters.`).
    Unknown,
}

impl Attribute {
    /// The attribute of a condition's key (<https://istio.io/latest/docs/reference/config/security/conditions/>).
    pub(super) fn of_key(key: &str) -> Attribute {
        match key {
            "source.principal" => Attribute::Principal,
            "source.namespace" => Attribute::Namespace,
            "source.serviceAccount" => Attribute::ServiceAccount,
            "source.ip" => Attribute::SourceIp,
            "remote.ip" => Attribute::RemoteIp,
            "request.auth.principal" => Attribute::RequestPrincipal,
            "request.auth.audiences" => Attribute::Audience,
            "request.auth.presenter" => Attribute::Presenter,
            "destination.ip" => Attribute::DestinationIp,
            "destination.port" => Attribute::Port,
            "connection.sni" => Attribute::Sni,
            key => named(key).unwrap_or(Attribute::Unknown),
        }
    }

    /// Whether a connection of bytes has it not.
    pub(super) fn is_of_request(&self) -> bool {
        match self {
            Attribute::RequestPrincipal
            | Attribute::Audience
            | Attribute::Presenter
            | Attribute::Claim(_)
            | Attribute::Header(_)
            | Attribute::Host
            | Attribute::Method
            | Attribute::Path
            | Attribute::Parts(..) => true,
            Attribute::Principal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::SourceIp
            | Attribute::RemoteIp
            | Attribute::Port
            | Attribute::DestinationIp
            | Attribute::Sni
            | Attribute::Unknown => false,
        }
    }
}

/// `request.headers[NAME]` and `request.auth.claims[NAME][NAME]`.
fn named(key: &str) -> Option<Attribute> {
    if let Some(rest) = key.strip_prefix("request.headers") {
        let name = rest.strip_prefix('[')?.strip_suffix(']')?;
        return (!name.is_empty()).then(|| Attribute::Header(name.into()));
    }
    let rest = key.strip_prefix("request.auth.claims")?;
    let inner = rest.strip_prefix('[')?.strip_suffix(']')?;
    let path: Box<[Box<str>]> = inner.split("][").map(Into::into).collect();
    path.iter().all(|name| !name.is_empty()).then_some(Attribute::Claim(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_brackets() {
        assert_eq!(Attribute::of_key("request.headers[x-a]"), Attribute::Header("x-a".into()));
        let claim = Attribute::Claim(["a".into(), "b".into()].into());
        assert_eq!(Attribute::of_key("request.auth.claims[a][b]"), claim);
        for key in ["request.headers", "request.headers[]", "request.auth.claims[a", "other"] {
            assert_eq!(Attribute::of_key(key), Attribute::Unknown, "{key}");
        }
    }
}
