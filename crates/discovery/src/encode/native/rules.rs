//! Rules as they travel: as JSON, each encoded once for all hosts that it is for.

use std::collections::HashMap;
use std::sync::Arc;

use meltemi_policy::authz::provider::Provider;
use meltemi_policy::authz::rule::AuthorizationPolicy;
use meltemi_policy::destination::rule::DestinationRule;
use meltemi_policy::jwt::rule::RequestAuthentication;
use meltemi_policy::route::rule::VirtualService;
use serde::Serialize;

/// The rules that were encoded on the way from one snapshot to the next.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    virtual_services: Cache<VirtualService>,
    destination_rules: Cache<DestinationRule>,
    request_authentications: Cache<RequestAuthentication>,
    authorization_policies: Cache<AuthorizationPolicy>,
    extension_providers: Cache<Provider>,
}

/// Rules and their JSON, by where the rule lies. Each is held, so that no other one can come to lie there.
type Cache<T> = HashMap<*const T, (Arc<T>, Vec<u8>)>;

impl Rules {
    pub(crate) fn virtual_services(&mut self, rules: &[Arc<VirtualService>]) -> Vec<Vec<u8>> {
        rules.iter().map(|rule| encoded(&mut self.virtual_services, rule)).collect()
    }

    pub(crate) fn destination_rules(&mut self, rules: &[Arc<DestinationRule>]) -> Vec<Vec<u8>> {
        rules.iter().map(|rule| encoded(&mut self.destination_rules, rule)).collect()
    }

    pub(crate) fn authorization_policies(
        &mut self,
        rules: &[Arc<AuthorizationPolicy>],
    ) -> Vec<Vec<u8>> {
        rules.iter().map(|rule| encoded(&mut self.authorization_policies, rule)).collect()
    }

    pub(crate) fn extension_providers(&mut self, providers: &[Arc<Provider>]) -> Vec<Vec<u8>> {
        providers.iter().map(|it| encoded(&mut self.extension_providers, it)).collect()
    }

    pub(crate) fn request_authentications(
        &mut self,
        rules: &[Arc<RequestAuthentication>],
    ) -> Vec<Vec<u8>> {
        rules.iter().map(|rule| encoded(&mut self.request_authentications, rule)).collect()
    }
}

fn encoded<T: Serialize>(cache: &mut Cache<T>, rule: &Arc<T>) -> Vec<u8> {
    let entry = cache.entry(Arc::as_ptr(rule));
    entry.or_insert_with(|| (rule.clone(), json(&**rule))).1.clone()
}

/// The JSON of a rule. Rules have text for keys and finite numbers, so that they always have one.
pub(super) fn json<T: Serialize>(rule: &T) -> Vec<u8> {
    serde_json::to_vec(rule).unwrap_or_default()
}
