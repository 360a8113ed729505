//! What a caller may do: Kubernetes' role-based access control over the roles and bindings in the store.
//!
//! Members of `system:masters` may do everything. For all others the rules of the roles count that bindings give to them:
//! ClusterRoleBindings everywhere, RoleBindings in their namespace. `rules` judges one question by one rule, `built_in`
//! holds the roles that are always there, `escalation` keeps people from giving more than they have.

pub(crate) mod built_in;
mod escalation;
mod rules;

use meltemi_api::Kind;
use meltemi_api::rbac::{PolicyRule, RoleRef, Subject, SubjectKind};
use meltemi_store::{Key, Selector, Store, StoreError, kind};
use serde::Deserialize;

use crate::auth::Principal;
use crate::state::ApiState;
use crate::status::Failure;

pub(crate) use escalation::admit;
pub(crate) use rules::{Ask, What};

/// Refuses what the caller may not do.
///
/// # Errors
/// 403 in Kubernetes' words, and what the store met.
pub(crate) async fn authorize(
    store: &dyn Store,
    caller: &Principal,
    ask: &Ask<'_>,
) -> Result<(), Failure> {
    if is_allowed(store, caller, ask).await? {
        return Ok(());
    }
    Err(Failure::forbidden(ask.refusal(&caller.name)))
}

/// Refuses a question about what the mesh tells of itself under a path, unless the caller may read the path or, where the
/// question is about one namespace alone, the services of that namespace.
///
/// # Errors
/// 403 in Kubernetes' words, and what the store met.
pub async fn may_see(
    state: &ApiState,
    caller: &Principal,
    path: &str,
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let whole = Ask { verb: "get", what: What::Path(path) };
    if is_allowed(&*state.store, caller, &whole).await? {
        return Ok(());
    }
    let Some(namespace) = namespace else {
        return Err(Failure::forbidden(whole.refusal(&caller.name)));
    };
    let namespace = Some(namespace);
    let what = What::Resource { group: "", resource: "services", namespace, name: None };
    authorize(&*state.store, caller, &Ask { verb: "list", what }).await
}

/// Whether the caller may do this.
pub(crate) async fn is_allowed(
    store: &dyn Store,
    caller: &Principal,
    ask: &Ask<'_>,
) -> Result<bool, StoreError> {
    if caller.is_master() || ask.is_open_to_all() {
        return Ok(true);
    }
    let rules = rules_of(store, caller, ask.namespace()).await?;
    Ok(rules.iter().any(|rule| ask.is_allowed_by(rule)))
}

/// All rules that count for the caller in this namespace; without one, those that count everywhere.
pub(crate) async fn rules_of(
    store: &dyn Store,
    caller: &Principal,
    namespace: Option<&str>,
) -> Result<Vec<PolicyRule>, StoreError> {
    let mut found = rules_bound(store, caller, Kind::ClusterRoleBinding, None).await?;
    if namespace.is_some() {
        found.extend(rules_bound(store, caller, Kind::RoleBinding, namespace).await?);
    }
    Ok(found)
}

async fn rules_bound(
    store: &dyn Store,
    caller: &Principal,
    of: Kind,
    namespace: Option<&str>,
) -> Result<Vec<PolicyRule>, StoreError> {
    let selector = Selector {
        kind: Some(kind(of.group(), of.plural())),
        namespace: namespace.map(str::to_owned),
    };
    let mut found = Vec::new();
    for entry in store.list(&selector).await?.entries {
        // What cannot be read gives nothing to anybody.
        let Ok(binding) = serde_json::from_slice::<Binding>(&entry.value) else { continue };
        if binding.subjects.iter().any(|subject| is(caller, subject)) {
            found.extend(role(store, &binding.role_ref, namespace).await?.unwrap_or_default());
        }
    }
    Ok(found)
}

/// The rules of a role, if there is such a role.
pub(crate) async fn role(
    store: &dyn Store,
    role: &RoleRef,
    namespace: Option<&str>,
) -> Result<Option<Vec<PolicyRule>>, StoreError> {
    let (of, namespace) = match role.kind.as_str() {
        "Role" => (Kind::Role, namespace),
        _ => (Kind::ClusterRole, None),
    };
    if of == Kind::ClusterRole
        && let Some(rules) = built_in::role(&role.name)
    {
        return Ok(Some(rules));
    }
    let key = Key::new(of.group(), of.plural(), namespace, &role.name);
    let entry = store.get(&key).await?;
    let stored = entry.and_then(|entry| serde_json::from_slice::<Stored>(&entry.value).ok());
    Ok(stored.map(|stored| stored.rules))
}

/// What counts of a binding here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Binding {
    #[serde(default)]
    subjects: Vec<Subject>,
    pub(crate) role_ref: RoleRef,
}

/// What counts of a role here.
#[derive(Deserialize)]
pub(crate) struct Stored {
    #[serde(default)]
    pub(crate) rules: Vec<PolicyRule>,
}

fn is(caller: &Principal, subject: &Subject) -> bool {
    match subject.kind {
        SubjectKind::User => caller.name == subject.name,
        SubjectKind::Group => caller.groups.contains(&subject.name),
        SubjectKind::ServiceAccount => {
            let mut parts = caller.name.splitn(4, ':');
            let wanted = ["system", "serviceaccount", &subject.namespace, &subject.name];
            wanted.iter().all(|part| parts.next() == Some(part)) && parts.next().is_none()
        }
    }
}
