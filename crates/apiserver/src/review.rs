//! What callers may ask about themselves, and the tokens that they may have: Kubernetes' reviews and `TokenRequest`.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use http::StatusCode;
use meltemi_api::Kind;
use meltemi_api::rbac::PolicyRule;
use meltemi_audit::{ObjectRef, timestamp};
use meltemi_store::Key;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access_token::{self, Holder, Issued, Wanted, check_life, uid_of};
use crate::audited::Notes;
use crate::auth::Principal;
use crate::authorize::{Ask, What, authorize, is_allowed, rules_of};
use crate::caller::Caller;
use crate::serve;
use crate::state::ApiState;
use crate::status::{Failure, json_response};

/// The life of a service account's token where none is asked for, seconds; as Kubernetes has it.
const TOKEN_LIFE: u64 = 3600;

/// `POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews`: may I?
pub(crate) async fn access(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Failure> {
    let mut review = serve::body(request).await?;
    let spec: AccessSpec = read(&review["spec"])?;
    let resource =
        spec.resource_attributes.as_ref().map(|asked| match asked.subresource.as_str() {
            "" => asked.resource.clone(),
            part => format!("{}/{part}", asked.resource),
        });
    let ask = match (&spec.resource_attributes, &resource, &spec.non_resource_attributes) {
        (Some(asked), Some(resource), None) => Ask {
            verb: &asked.verb,
            what: What::Resource {
                group: &asked.group,
                resource,
                namespace: Some(asked.namespace.as_str()).filter(|it| !it.is_empty()),
                name: Some(asked.name.as_str()).filter(|it| !it.is_empty()),
            },
        },
        (None, _, Some(asked)) => Ask { verb: &asked.verb, what: What::Path(&asked.path) },
        _ => {
            let message = "spec: give either resourceAttributes or nonResourceAttributes";
            return Err(Failure::bad_request(message));
        }
    };
    let allowed = is_allowed(&*state.store, &principal, &ask).await?;
    review["status"] = json!({"allowed": allowed});
    Ok(json_response(StatusCode::CREATED, &review))
}

/// `POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews`: what may I?
pub(crate) async fn rules(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Failure> {
    let mut review = serve::body(request).await?;
    let namespace = review.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or("default");
    let rules = if principal.is_master() {
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let paths = json!({"verbs": ["*"], "nonResourceURLs": ["*"]});
        vec![read(&all)?, read(&paths)?]
    } else {
        rules_of(&*state.store, &principal, Some(namespace)).await?
    };
    let (paths, objects): (Vec<PolicyRule>, Vec<_>) =
        rules.into_iter().partition(|rule| !rule.non_resource_urls.is_empty());
    let objects: Vec<_> = objects
        .into_iter()
        .map(|rule| {
            json!({"verbs": rule.verbs, "apiGroups": rule.api_groups,
                "resources": rule.resources, "resourceNames": rule.resource_names})
        })
        .collect();
    let paths: Vec<_> = paths
        .into_iter()
        .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}))
        .collect();
    review["status"] =
        json!({"resourceRules": objects, "nonResourceRules": paths, "incomplete": false});
    Ok(json_response(StatusCode::CREATED, &review))
}

/// `POST /apis/authentication.k8s.io/v1/selfsubjectreviews`: who am I?
pub(crate) async fn subject(
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Failure> {
    let mut review = serve::body(request).await?;
    review["status"] =
        json!({"userInfo": {"username": principal.name, "groups": principal.groups}});
    Ok(json_response(StatusCode::CREATED, &review))
}

/// `POST /meltemi/v1/tokens`: a token for anybody, from somebody who may do everything.
pub(crate) async fn token(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Extension(notes): Extension<Notes>,
    request: Request,
) -> Result<Response, Failure> {
    let wanted: Wanted = read(&serve::body(request).await?)?;
    let what = What::Resource {
        group: Kind::AccessToken.group(),
        resource: Kind::AccessToken.plural(),
        namespace: None,
        name: None,
    };
    let caller = Caller::new(&state, principal, &notes);
    authorize(&*state.store, &caller.principal, &Ask { verb: "create", what }).await?;
    let spec = json!({"spec": {"user": wanted.user, "groups": wanted.groups}});
    let admitted =
        crate::authorize::admit(&*state.store, &caller.principal, Kind::AccessToken, None, &spec);
    admitted.await?;
    let issued = wanted.issue(&*caller.store).await?;
    notes.about("create", token_ref(&issued));
    let answer = json!({
        "name": issued.name,
        "token": issued.token,
        "expirationTimestamp": timestamp::format(issued.expires),
    });
    Ok(json_response(StatusCode::CREATED, &answer))
}

fn token_ref(issued: &Issued) -> ObjectRef {
    let kind = Kind::AccessToken;
    (&Key::new(kind.group(), kind.plural(), None, &issued.name)).into()
}

/// The namespace and name of a path `namespaces/NS/serviceaccounts/NAME/token`.
pub(crate) fn token_of(rest: &str) -> Option<(&str, &str)> {
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["namespaces", namespace, "serviceaccounts", name, "token"] => Some((namespace, name)),
        _ => None,
    }
}

/// `POST` to a service account's `token` (`TokenRequest v1 authentication.k8s.io`): what `kubectl create token` asks.
pub(crate) async fn service_account_token(
    caller: &Caller,
    notes: &Notes,
    namespace: &str,
    name: &str,
    mut request: Value,
) -> Result<Response, Failure> {
    let what = What::Resource {
        group: "",
        resource: "serviceaccounts/token",
        namespace: Some(namespace),
        name: Some(name),
    };
    let key = Key::new("", "serviceaccounts", Some(namespace), name);
    notes.about("create", ObjectRef { subresource: "token".to_owned(), ..(&key).into() });
    authorize(&*caller.store, &caller.principal, &Ask { verb: "create", what }).await?;
    let account = caller.store.get(&key).await?.ok_or_else(|| Failure::not_found(&key))?;
    let spec: TokenSpec = match &request["spec"] {
        Value::Null => TokenSpec::default(),
        spec => read(spec)?,
    };
    if !spec.audiences.is_empty() {
        let message = "spec.audiences: tokens are for this API alone; leave them out";
        return Err(Failure::bad_request(message));
    }
    let life = spec.expiration_seconds.unwrap_or(TOKEN_LIFE);
    check_life(life)?;
    let of = Principal::service_account(namespace, name, String::new());
    let groups: Vec<_> =
        of.groups.iter().filter(|it| *it != crate::auth::AUTHENTICATED).cloned().collect();
    let uid = uid_of(&account.value);
    let holder = Holder { user: &of.name, groups: &groups, service_account_uid: Some(&uid) };
    let issued = access_token::issue(&*caller.store, None, holder, life).await?;
    request["status"] = json!({
        "token": issued.token,
        "expirationTimestamp": timestamp::format(issued.expires),
    });
    Ok(json_response(StatusCode::CREATED, &request))
}

fn read<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| Failure::bad_request(error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessSpec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<PathAttributes>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Deserialize)]
struct PathAttributes {
    path: String,
    verb: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TokenSpec {
    audiences: Vec<String>,
    expiration_seconds: Option<u64>,
}
