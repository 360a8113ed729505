//! `meltemi describe`: one object in a form for people, with what the mesh made of it.

mod endpoints;
mod outcomes;
mod text;

use serde_json::Value;

pub(crate) use self::endpoints::is_ready;
use crate::client::{Client, JSON};
use crate::connection;
use crate::exit::Failure;
use crate::outcomes::Ejections;
use crate::output;
use crate::rejected::Rejected;
use crate::resource::{Resource, Resources};
use crate::selection::{Namespace, select};

const EXAMPLE: &str = "\
Examples:
  meltemi describe service hello
  meltemi describe virtualservice/reviews -n shop
  meltemi describe workloadentries";

/// Flags of `meltemi describe`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// KIND [NAME...] or KIND/NAME...; without a name all of the namespace are described
    #[arg(required = true, value_name = "KIND [NAME]")]
    words: Vec<String>,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    connection: connection::Args,
}

/// Describes the objects.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let mut client = args.connection.client()?;
    let resources = Resources::fetch(&mut client).await?;
    let namespace = args.namespace.name();
    let mut described = Vec::new();
    let mut missing = false;
    for selected in select(&resources, &args.words)? {
        let resource = selected.resource;
        let mut objects = Vec::new();
        if selected.names.is_empty() {
            let list = client.get(&resource.path(Some(namespace), None), JSON).await?;
            objects.extend(list["items"].as_array().into_iter().flatten().cloned());
        }
        for name in &selected.names {
            match client.get(&resource.path(Some(namespace), Some(name)), JSON).await {
                Ok(object) => objects.push(object),
                Err(error) if error.is_not_found() => {
                    output::complain(&format!("error: {error}"));
                    missing = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let rejected = Rejected::fetch(&mut client, &objects.iter().collect::<Vec<_>>()).await?;
        for object in &objects {
            let told = describe(&mut client, &resources, resource, object, &rejected).await?;
            described.push(told);
        }
    }
    if described.is_empty() && !missing {
        output::complain(&format!("No resources found in {namespace} namespace."));
    }
    output::print(&described.join("\n\n"))?;
    if missing { Err(Failure::Code(1)) } else { Ok(()) }
}

async fn describe(
    client: &mut Client,
    resources: &Resources,
    resource: &Resource,
    object: &Value,
    rejected: &Option<Vec<Rejected>>,
) -> Result<String, Failure> {
    let rejected = rejected.iter().flatten().find(|it| it.is(&resource.kind, object));
    let warning = rejected.map(|it| format!("set aside: {}", it.reason));
    let mut text = text::describe(resource, object, warning.as_deref());
    if resource.group.is_empty() && resource.plural == "services" {
        let told = outcomes::fetch(client, object).await;
        let ejections = Ejections::of(told.as_ref());
        text.push_str(&endpoints::of_service(client, resources, object, &ejections).await?);
        text.push_str(&told.as_ref().map(outcomes::section).unwrap_or_default());
    }
    Ok(text)
}
