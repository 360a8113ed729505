//! Who calls, field by field.

use super::attribute::Attribute;
use super::compile::Field;
use super::rule::Source;

impl Source {
    /// Its fields with what they look at.
    pub(super) fn fields(&self) -> [Field<'_>; 6] {
        [
            Field {
                attribute: Attribute::Principal,
                demanded: ("principals", &self.principals),
                forbidden: ("notPrincipals", &self.not_principals),
            },
            Field {
                attribute: Attribute::Namespace,
                demanded: ("namespaces", &self.namespaces),
                forbidden: ("notNamespaces", &self.not_namespaces),
            },
            Field {
                attribute: Attribute::ServiceAccount,
                demanded: ("serviceAccounts", &self.service_accounts),
                forbidden: ("notServiceAccounts", &self.not_service_accounts),
            },
            Field {
                attribute: Attribute::SourceIp,
                demanded: ("ipBlocks", &self.ip_blocks),
                forbidden: ("notIpBlocks", &self.not_ip_blocks),
            },
            Field {
                attribute: Attribute::RemoteIp,
                demanded: ("remoteIpBlocks", &self.remote_ip_blocks),
                forbidden: ("notRemoteIpBlocks", &self.not_remote_ip_blocks),
            },
            Field {
                attribute: Attribute::RequestPrincipal,
                demanded: ("requestPrincipals", &self.request_principals),
                forbidden: ("notRequestPrincipals", &self.not_request_principals),
            },
        ]
    }
}
