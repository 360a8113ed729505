//! `meltemi token access|list|revoke`: tokens for the API, as whom their holders act and what they may do.

use meltemi_names::{DEFAULT_NAMESPACE, is_dns_label};
use serde_json::{Value, json};

use super::{Form, ttl};
use crate::client::{Client, JSON, escape};
use crate::exit::Failure;
use crate::table::Table;
use crate::{connection, output};

const EXAMPLE: &str = "\
Example:
  meltemi token access alice --name alice-laptop --role editor --namespace shop --ttl 30d > alice.token
  # as alice; on another machine with --api https://HOST:15080 and --trust-bundle
  meltemi get virtualservices -n shop --token-file alice.token
  meltemi token list
  meltemi token revoke alice-laptop";

const TOKENS: &str = "/apis/meltemi.io/v1alpha1/accesstokens";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Flags of `meltemi token access`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Access {
    /// Name under which its holder acts
    user: String,
    /// Role to give the user besides: viewer, editor, admin, analyst, cluster-admin, or a ClusterRole of yours
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Namespace in which the role holds
    #[arg(long, short = 'n', default_value = DEFAULT_NAMESPACE, requires = "role", value_name = "NS")]
    namespace: String,
    /// The role holds in all namespaces
    #[arg(long, short = 'A', requires = "role", conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Group to which the holder belongs; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Name of the token, by which it is listed and revoked; made up if left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long it is good: a number with s, m, h or d, at most a year
    #[arg(long, default_value = "30d", value_parser = ttl, value_name = "TIME")]
    ttl: std::time::Duration,
    /// The bare token, or a JSON object with it
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    connection: connection::Args,
}

/// Flags of `meltemi token list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct List {
    /// A table, or a JSON list
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    connection: connection::Args,
}

/// Flags of `meltemi token revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Revoke {
    /// Tokens, as `meltemi token list` names them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    connection: connection::Args,
}

pub(super) async fn access(args: &Access) -> Result<(), Failure> {
    let mut client = args.connection.client()?;
    // The role first: a token that may do nothing yet is of no use to anybody.
    if let Some(role) = &args.role {
        bind(&mut client, args, role).await?;
    }
    let wanted = json!({
        "user": args.user,
        "groups": args.group,
        "name": args.name,
        "expirationSeconds": args.ttl.as_secs(),
    });
    let answer = client.post("/meltemi/v1/tokens", &wanted).await?.body;
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    output::line(&match args.output {
        Form::Text => text("token"),
        Form::Json => json!({
            "token": text("token"),
            "name": text("name"),
            "user": args.user,
            "expires": text("expirationTimestamp"),
        })
        .to_string(),
    })
}

/// Gives the user the role, unless it has it by a binding of the same name already.
async fn bind(client: &mut Client, args: &Access, role: &str) -> Result<(), Failure> {
    let (kind, path) = match args.all_namespaces {
        true => ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings")),
        false if is_dns_label(&args.namespace) => {
            ("RoleBinding", format!("{RBAC}/namespaces/{}/rolebindings", args.namespace))
        }
        false => {
            let message = format!("`{}` is not the name of a namespace", args.namespace);
            return Err(Failure::Usage(message));
        }
    };
    check_role(client, role).await?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": binding_name(&args.user, role)},
        "subjects": [{"kind": "User", "name": args.user, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": role, "apiGroup": "rbac.authorization.k8s.io"},
    });
    match client.post(&path, &binding).await {
        Err(error) if error.status().is_some_and(|status| status.code == 409) => Ok(()),
        Err(error) if error.status().is_some_and(|status| status.code == 404) => {
            let message = format!(
                "no token was made: there is no namespace `{}` yet; apply one (kind: Namespace), or run a workload there first",
                args.namespace
            );
            Err(Failure::Failed(message))
        }
        outcome => outcome.map(drop).map_err(Failure::from),
    }
}

/// Refuses a role that is not there, a typo most likely. Who may not read roles is not told of them.
async fn check_role(client: &mut Client, role: &str) -> Result<(), Failure> {
    match client.get(&format!("{RBAC}/clusterroles/{}", escape(role)), JSON).await {
        Err(error) if error.status().is_some_and(|status| status.code == 404) => {
            let message = format!(
                "no token was made: there is no ClusterRole `{role}`; take viewer, editor, admin, analyst or cluster-admin, or apply yours first"
            );
            Err(Failure::Failed(message))
        }
        Err(error) if error.status().is_some_and(|status| status.code == 403) => Ok(()),
        outcome => outcome.map(drop).map_err(Failure::from),
    }
}

/// A name for the binding that tells what it gives to whom.
fn binding_name(user: &str, role: &str) -> String {
    let plain = |text: &str| -> String {
        let letter =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '-' };
        text.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
    };
    format!("{}-{}", plain(user), plain(role)).trim_matches('-').to_owned()
}

pub(super) async fn list(args: &List) -> Result<(), Failure> {
    let answer = args.connection.client()?.get(TOKENS, JSON).await?;
    let tokens = answer["items"].as_array().cloned().unwrap_or_default();
    let text = |token: &Value, pointer: &str| {
        token.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let rows: Vec<[String; 4]> = tokens
        .iter()
        .map(|token| {
            [
                "/metadata/name",
                "/spec/user",
                "/metadata/creationTimestamp",
                "/spec/expirationTimestamp",
            ]
            .map(|pointer| text(token, pointer))
        })
        .collect();
    if args.output == Form::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|[name, user, made, expires]| {
                json!({"name": name, "user": user, "made": made, "expires": expires})
            })
            .collect();
        return output::line(&Value::from(rows).to_string());
    }
    let mut table = Table::new(["name", "user", "made", "expires"]);
    rows.into_iter().for_each(|row| table.push(row));
    output::print(&table.drain(true))
}

pub(super) async fn revoke(args: &Revoke) -> Result<(), Failure> {
    let mut client = args.connection.client()?;
    for name in &args.names {
        client.delete(&format!("{TOKENS}/{}", escape(name)), &json!({})).await?;
        output::line(&format!("{name} revoked"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_named_by_what_they_give() {
        for (user, expected) in
            [("alice", "alice-viewer"), ("Al.Ice@example.com", "al-ice-example-com-viewer")]
        {
            assert_eq!(binding_name(user, "viewer"), expected);
        }
    }
}
