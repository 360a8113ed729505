//! `meltemi get`: objects as rows, JSON, YAML or names, once or as they change.

mod outcomes;
mod rows;
mod watch;

use clap::ValueEnum;
use serde_json::{Value, json};

use self::rows::Rows;
use crate::client::{Client, ClientError, JSON, TABLE, escape};
use crate::connection;
use crate::exit::Failure;
use crate::output;
use crate::resource::{Resource, Resources};
use crate::selection::{Namespace, Selected, select};

const EXAMPLE: &str = "\
Examples:
  meltemi get services
  meltemi get svc,vs -n shop
  meltemi get workloadentries -A -o wide
  meltemi get virtualservice reviews -o yaml
  meltemi get we -l app=hello --watch
  meltemi get all
  meltemi get outcomes hello --window 5m -o wide";

/// Where the server-side apply keeps what was applied: of no use to readers, as Kubernetes' `managedFields`.
const MANAGED: &str = "meltemi.io/applied";

/// Flags of `meltemi get`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// KIND[,KIND...] [NAME...] or KIND/NAME...; kinds go by plural, singular or short name; `all` is the main ones;
    /// `outcomes [SERVICE...]` is what became of calls, per endpoint and caller
    #[arg(required = true, value_name = "KIND [NAME]")]
    words: Vec<String>,
    #[command(flatten)]
    namespace: Namespace,
    /// Objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only objects with these labels, as in app=hello,version!=v1
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only objects with these fields, as in metadata.name=hello
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    /// How far back outcomes go, 1h at most; 1m if not given
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// Print changes as they come, until stopped
    #[arg(short, long)]
    watch: bool,
    /// Rows without the head
    #[arg(long)]
    no_headers: bool,
    /// Add a column with the labels
    #[arg(long)]
    show_labels: bool,
    /// Also print what the server notes of who applied what
    #[arg(long)]
    show_managed_fields: bool,
    /// Success also if a named object is not there
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    connection: connection::Args,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Rows with more columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// KIND/NAME
    Name,
}

/// Prints the objects.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let mut client = args.connection.client()?;
    if outcomes::is_meant(&args) {
        return outcomes::run(&args, &mut client).await;
    }
    if args.window.is_some() {
        return Err(Failure::Usage("--window is for outcomes alone".to_owned()));
    }
    let resources = Resources::fetch(&mut client).await?;
    let selected = select(&resources, &args.words)?;
    if args.selector.is_some() && selected.iter().any(|it| !it.names.is_empty()) {
        return Err(Failure::Usage("--selector and names exclude each other: use one".to_owned()));
    }
    if args.watch {
        return watch::run(&args, &mut client, &selected).await;
    }
    match args.output {
        None | Some(Format::Wide) => print_rows(&args, &mut client, &selected).await,
        Some(format) => print_objects(&args, &mut client, &selected, format).await,
    }
}

async fn print_rows(
    args: &Args,
    client: &mut Client,
    selected: &[Selected<'_>],
) -> Result<(), Failure> {
    let mut shown = Vec::new();
    let mut missing = false;
    for selected in selected {
        let mut rows = Rows::new(args, selected.resource, args_are_mixed(args, selected));
        for answer in fetch(args, client, selected, TABLE, &mut missing).await? {
            rows.take(&answer);
        }
        shown.extend(Some(rows.drain(!args.no_headers)).filter(|text| !text.is_empty()));
    }
    if shown.is_empty() && !missing && !args.ignore_not_found {
        tell_nothing(args, selected);
    }
    output::print(&shown.join("\n"))?;
    if missing { Err(Failure::Code(1)) } else { Ok(()) }
}

/// Whether rows of several kinds are shown, which their names must tell apart then.
fn args_are_mixed(args: &Args, selected: &Selected<'_>) -> bool {
    let several = args.words[0].contains(',') || args.words[0].eq_ignore_ascii_case("all");
    let pairs: Vec<_> = args.words.iter().filter_map(|word| word.split_once('/')).collect();
    several || pairs.len() > selected.names.len()
}

fn tell_nothing(args: &Args, selected: &[Selected<'_>]) {
    let namespaced = selected.iter().any(|selected| selected.resource.namespaced);
    if args.all_namespaces || !namespaced {
        output::complain("No resources found.");
    } else {
        output::complain(&format!("No resources found in {} namespace.", args.namespace.name()));
    }
}

async fn print_objects(
    args: &Args,
    client: &mut Client,
    selected: &[Selected<'_>],
    format: Format,
) -> Result<(), Failure> {
    let mut objects = Vec::new();
    let mut missing = false;
    for selected in selected {
        for answer in fetch(args, client, selected, JSON, &mut missing).await? {
            let found = take_objects(selected.resource, answer);
            objects.extend(found.into_iter().map(|object| (selected.resource, object)));
        }
    }
    if format == Format::Name {
        let names = objects.iter().map(|(resource, object)| named(resource, object) + "\n");
        output::print(&names.collect::<String>())?;
    } else {
        let single = matches!(selected, [only] if only.names.len() == 1);
        let objects = objects.into_iter().map(|(_, object)| shown(args, object));
        if let Some(value) = one_or_list(objects.collect(), single) {
            output::print(&written(&value, format))?;
        }
    }
    if missing { Err(Failure::Code(1)) } else { Ok(()) }
}

/// The object itself if one was asked for by name, else a list.
fn one_or_list(mut objects: Vec<Value>, single: bool) -> Option<Value> {
    if single {
        return objects.pop();
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": objects,
    }))
}

/// The objects of an answer, which is one or a list. Within a Kubernetes list they do not name their kind.
fn take_objects(resource: &Resource, mut answer: Value) -> Vec<Value> {
    let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) else {
        return vec![answer];
    };
    let mut items = std::mem::take(items);
    for object in &mut items {
        if object["kind"].is_null() {
            object["kind"] = json!(resource.kind);
            object["apiVersion"] = json!(resource.api_version());
        }
    }
    items
}

/// An object without the server's notes, unless they are asked for.
fn shown(args: &Args, mut object: Value) -> Value {
    if args.show_managed_fields {
        return object;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(MANAGED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

fn written(value: &Value, format: Format) -> String {
    match format {
        Format::Yaml => meltemi_api::yaml::write(value),
        _ => format!("{value:#}\n"),
    }
}

/// `service/hello`.
fn named(resource: &Resource, object: &Value) -> String {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    format!("{}/{name}", resource.label())
}

/// Asks for the objects of a kind: all of them at once, named ones one by one.
async fn fetch(
    args: &Args,
    client: &mut Client,
    selected: &Selected<'_>,
    accept: &str,
    missing: &mut bool,
) -> Result<Vec<Value>, Failure> {
    let resource = selected.resource;
    if selected.names.is_empty() {
        let path = resource.path(namespace(args), None) + &query(args, &[]);
        return Ok(vec![client.get(&path, accept).await?]);
    }
    if args.all_namespaces && resource.namespaced {
        return Err(Failure::Usage(
            "a name without a namespace is not enough: leave out --all-namespaces".to_owned(),
        ));
    }
    let mut answers = Vec::new();
    for name in &selected.names {
        match client.get(&resource.path(namespace(args), Some(name)), accept).await {
            Ok(answer) => answers.push(answer),
            Err(error) if error.is_not_found() && args.ignore_not_found => {}
            Err(error @ ClientError::Refused(_)) if error.is_not_found() => {
                output::complain(&format!("error: {error}"));
                *missing = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answers)
}

fn namespace(args: &Args) -> Option<&str> {
    (!args.all_namespaces).then(|| args.namespace.name())
}

/// The part of a request after its path.
fn query(args: &Args, more: &[(&str, String)]) -> String {
    let selectors = [("labelSelector", &args.selector), ("fieldSelector", &args.field_selector)];
    let selectors = selectors.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    let pairs: Vec<String> = selectors
        .chain(more.iter().map(|(name, value)| (*name, value.clone())))
        .map(|(name, value)| format!("{name}={}", escape(&value)))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}
