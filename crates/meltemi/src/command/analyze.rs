//! `meltemi analyze`: looks at all configuration together, and tells what does not fit.

mod check;
mod finding;
mod mesh;

use clap::ValueEnum;
use meltemi_api::Severity;
use serde_json::json;

use self::check::check;
use self::finding::Finding;
use self::mesh::Mesh;
use crate::connection;
use crate::exit::Failure;
use crate::input::counted;
use crate::output;
use crate::resource::Resources;
use crate::selection::Namespace;

const EXAMPLE: &str = "\
Examples:
  meltemi analyze
  meltemi analyze -n shop
  meltemi analyze -A --output json";

/// Flags of `meltemi analyze`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    namespace: Namespace,
    /// Tell of the objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A finding a line
    Text,
    /// One JSON object
    Json,
}

/// Prints what was found, and fails if there are errors.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let mut client = args.connection.client()?;
    let resources = Resources::fetch(&mut client).await?;
    let mesh = Mesh::fetch(&mut client, &resources).await?;
    let mut findings = check(&mesh);
    if !args.all_namespaces {
        findings.retain(|it| it.is_about(args.namespace.name()));
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match args.output {
        Format::Json => {
            let report = json!({
                "objects": mesh.len(),
                "errors": errors,
                "warnings": warnings,
                "findings": findings,
            });
            output::print(&format!("{report:#}\n"))?;
            if errors == 0 { Ok(()) } else { Err(Failure::Code(1)) }
        }
        Format::Text => {
            let place = match args.all_namespaces {
                true => "all namespaces".to_owned(),
                false => format!("namespace {}", args.namespace.name()),
            };
            tell(&findings, &place)?;
            match errors {
                0 => Ok(()),
                _ => Err(Failure::Failed(format!(
                    "{} and {} in {place}: correct what is listed above",
                    counted(errors, "error"),
                    counted(warnings, "warning")
                ))),
            }
        }
    }
}

fn tell(findings: &[Finding], place: &str) -> Result<(), Failure> {
    if findings.is_empty() {
        return output::line(&format!("nothing found in {place}"));
    }
    output::print(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>())
}
