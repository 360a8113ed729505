//! `meltemi api-resources`: the kinds that this binary knows, and the words for them.

use meltemi_api::Kind;
use serde_json::json;

use crate::exit::Failure;
use crate::output;
use crate::table::Table;

const EXAMPLE: &str = "\
Examples:
  meltemi api-resources
  meltemi api-resources --output json";

/// Flags of `meltemi api-resources`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Rows
    Text,
    /// JSON
    Json,
    /// PLURAL.GROUP
    Name,
}

/// Prints the kinds.
pub async fn run(args: Args) -> Result<(), Failure> {
    let text = match args.output {
        Format::Text => rows(),
        Format::Json => format!(
            "{:#}\n",
            Kind::all().iter().map(|kind| value(*kind)).collect::<serde_json::Value>()
        ),
        Format::Name => Kind::all().iter().map(|kind| full_name(*kind) + "\n").collect(),
    };
    output::print(&text)
}

fn rows() -> String {
    let mut table = Table::new(["Name", "ShortNames", "APIVersion", "Namespaced", "Kind"]);
    for kind in Kind::all() {
        table.push([
            kind.plural().to_owned(),
            kind.short_names().join(","),
            kind.api_version(),
            kind.namespaced().to_string(),
            kind.kind().to_owned(),
        ]);
    }
    table.drain(true)
}

fn value(kind: Kind) -> serde_json::Value {
    json!({
        "name": kind.plural(),
        "singularName": kind.singular(),
        "shortNames": kind.short_names(),
        "group": kind.group(),
        "versions": kind.versions(),
        "namespaced": kind.namespaced(),
        "kind": kind.kind(),
    })
}

fn full_name(kind: Kind) -> String {
    match kind.group() {
        "" => kind.plural().to_owned(),
        group => format!("{}.{group}", kind.plural()),
    }
}
