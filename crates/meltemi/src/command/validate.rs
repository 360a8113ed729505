//! `meltemi validate`: reads and checks files without a control plane.

use clap::ValueEnum;
use meltemi_api::Finding;
use serde_json::json;

use crate::exit::Failure;
use crate::input;
use crate::output;
use crate::selection::Namespace;

const EXAMPLE: &str = "\
Examples:
  meltemi validate -f rule.yaml
  meltemi validate -f mesh/ -R --output json
  helm template ./chart | meltemi validate -f -";

/// Flags of `meltemi validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    input: input::Args,
    #[command(flatten)]
    namespace: Namespace,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A finding a line
    Text,
    /// One JSON object
    Json,
}

/// Prints what is wrong, and fails if anything is.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let sources = args.input.read().await?;
    let (resources, findings) = match input::check(&sources, &args.namespace) {
        Ok(accepted) => {
            let mut warnings = accepted.warnings;
            warnings.extend(input::without_effect(&accepted.objects));
            (accepted.objects.len(), warnings)
        }
        Err(findings) => (0, findings),
    };
    let errors = findings.iter().filter(|finding| Finding::is_error(finding)).count();
    match args.output {
        Format::Json => {
            let report =
                json!({"valid": errors == 0, "resources": resources, "findings": findings});
            output::print(&format!("{report:#}\n"))?;
        }
        Format::Text => {
            let (errors, warnings): (Vec<_>, Vec<_>) =
                findings.into_iter().partition(Finding::is_error);
            input::tell(&warnings);
            let lines = errors.iter().map(|finding| format!("{finding}\n"));
            output::print(&lines.collect::<String>())?;
        }
    }
    match (errors, args.output) {
        (0, Format::Text) => {
            output::line(&format!("{} valid", input::counted(resources, "resource")))
        }
        (0, Format::Json) => Ok(()),
        (_, Format::Json) => Err(Failure::Code(1)),
        (errors, Format::Text) => Err(Failure::Failed(format!(
            "{} found: correct what is listed above",
            input::counted(errors, "error")
        ))),
    }
}
