//! `meltemi delete`: objects by name, by label, all of a kind, or those of files.

use serde_json::{Value, json};

use crate::client::{Client, ClientError, JSON, escape};
use crate::command::apply::DryRun;
use crate::connection;
use crate::exit::Failure;
use crate::input;
use crate::output;
use crate::resource::{Resource, Resources};
use crate::selection::{Namespace, Selected, select};

const EXAMPLE: &str = "\
Examples:
  meltemi delete virtualservice reviews
  meltemi delete svc/hello vs/hello -n shop
  meltemi delete -f rule.yaml --ignore-not-found
  meltemi delete destinationrules --all";

/// Flags of `meltemi delete`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// KIND[,KIND...] NAME... or KIND/NAME...
    #[arg(
        value_name = "KIND NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    words: Vec<String>,
    #[command(flatten)]
    input: input::OptionalArgs,
    #[command(flatten)]
    namespace: Namespace,
    /// With --all or --selector: in all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "filename"])]
    all_namespaces: bool,
    /// All objects of the kind
    #[arg(long, conflicts_with = "filename")]
    all: bool,
    /// All objects of the kind with these labels, as in app=hello
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["all", "filename"])]
    selector: Option<String>,
    /// Success also if an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Delete nothing: `client` only says what would be, `server` also asks the control plane
    #[arg(
        long,
        value_name = "WHERE",
        num_args = 0..=1,
        require_equals = true,
        default_value = "none",
        default_missing_value = "client"
    )]
    dry_run: DryRun,
    /// Print KIND/NAME only
    #[arg(short, long, value_name = "FORMAT", value_parser = ["name"])]
    output: Option<String>,
    #[command(flatten)]
    connection: connection::Args,
}

/// An object to be deleted.
struct Doomed<'a> {
    resource: &'a Resource,
    namespace: Option<String>,
    name: String,
}

/// Deletes the objects.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let accepted = match args.input.given() {
        Some(given) => {
            Some(input::accept(&given.read().await?, &args.namespace, "nothing was deleted")?)
        }
        None => None,
    };
    let mut client = args.connection.client()?;
    let resources = Resources::fetch(&mut client).await?;
    let doomed = match accepted {
        Some(accepted) => of_objects(&resources, &accepted.objects)?,
        None => of_words(&args, &mut client, &resources).await?,
    };
    if doomed.is_empty() {
        output::complain("No resources found.");
    }
    let mut missing = false;
    for doomed in &doomed {
        match delete(&args, &mut client, doomed).await {
            Ok(()) => told(&args, doomed)?,
            Err(error) if error.is_not_found() && args.ignore_not_found => {}
            Err(error @ ClientError::Refused(_)) => {
                output::complain(&format!("error: {error}"));
                missing = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if missing { Err(Failure::Code(1)) } else { Ok(()) }
}

/// Objects of files, those first that stand on others.
fn of_objects<'a>(
    resources: &'a Resources,
    objects: &[meltemi_api::Parsed],
) -> Result<Vec<Doomed<'a>>, Failure> {
    let mut objects: Vec<_> = objects.iter().filter(|object| !object.name().is_empty()).collect();
    objects.sort_by_key(|object| std::cmp::Reverse(object.kind()));
    let doomed = |object: &meltemi_api::Parsed| {
        let kind = object.kind();
        Ok(Doomed {
            resource: resources.of_object(&kind.api_version(), kind.kind())?,
            namespace: object.namespace().map(str::to_owned),
            name: object.name().to_owned(),
        })
    };
    objects.into_iter().map(doomed).collect()
}

async fn of_words<'a>(
    args: &Args,
    client: &mut Client,
    resources: &'a Resources,
) -> Result<Vec<Doomed<'a>>, Failure> {
    let selected = select(resources, &args.words)?;
    let by_name = selected.iter().any(|selected| !selected.names.is_empty());
    let is_many = args.all || args.selector.is_some();
    match (by_name, is_many) {
        (true, true) => {
            return Err(Failure::Usage("names exclude --all and --selector: use one".to_owned()));
        }
        (false, false) => {
            let kind = &args.words[0];
            return Err(Failure::Usage(format!(
                "which objects of {kind}? give names, --selector or --all"
            )));
        }
        _ => {}
    }
    if by_name && args.all_namespaces {
        return Err(Failure::Usage(
            "a name without a namespace is not enough: leave out --all-namespaces".to_owned(),
        ));
    }
    let mut doomed = Vec::new();
    for Selected { resource, names } in selected {
        let namespace = args.namespace.name();
        let named = |name: String| {
            let namespace = resource.namespaced.then(|| namespace.to_owned());
            Doomed { resource, namespace, name }
        };
        doomed.extend(names.into_iter().map(named));
        if is_many {
            doomed.extend(list(args, client, resource).await?);
        }
    }
    Ok(doomed)
}

/// All objects of a kind, or those with labels.
async fn list<'a>(
    args: &Args,
    client: &mut Client,
    resource: &'a Resource,
) -> Result<Vec<Doomed<'a>>, Failure> {
    let namespace = (!args.all_namespaces).then(|| args.namespace.name());
    let mut path = resource.path(namespace, None);
    if let Some(selector) = &args.selector {
        path.push_str(&format!("?labelSelector={}", escape(selector)));
    }
    let answer = client.get(&path, JSON).await?;
    let items = answer["items"].as_array().into_iter().flatten();
    let text = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let doomed = items.filter_map(|object| {
        let name = text(object, "/metadata/name")?;
        Some(Doomed { resource, namespace: text(object, "/metadata/namespace"), name })
    });
    Ok(doomed.collect())
}

async fn delete(args: &Args, client: &mut Client, doomed: &Doomed<'_>) -> Result<(), ClientError> {
    let path = doomed.resource.path(doomed.namespace.as_deref(), Some(&doomed.name));
    match args.dry_run {
        DryRun::None => client.delete(&path, &Value::Null).await.map(drop),
        DryRun::Server => client.delete(&path, &json!({"dryRun": ["All"]})).await.map(drop),
        DryRun::Client => client.get(&path, JSON).await.map(drop),
    }
}

fn told(args: &Args, doomed: &Doomed<'_>) -> Result<(), Failure> {
    let (label, name) = (doomed.resource.label(), &doomed.name);
    if args.output.is_some() {
        return output::line(&format!("{label}/{name}"));
    }
    output::line(&format!("{label} \"{name}\" deleted{}", args.dry_run.suffix()))
}
