//! `meltemi apply`: everything is read and checked, then tried on the server, then written; if a write fails, those
//! before it are taken back.

mod plan;
mod roll_back;
mod warn;
mod write;

use clap::ValueEnum;
use serde_json::{Value, json};

use self::plan::Step;
use crate::connection;
use crate::exit::Failure;
use crate::input;
use crate::output;
use crate::resource::Resources;
use crate::selection::Namespace;

const EXAMPLE: &str = "\
Examples:
  meltemi apply -f rule.yaml
  meltemi apply -f mesh/ -R -n shop
  helm template ./chart | meltemi apply -f -
  meltemi apply -f rule.yaml --dry-run=server";

/// Flags of `meltemi apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    input: input::Args,
    #[command(flatten)]
    namespace: Namespace,
    /// Change nothing: `client` compares here, `server` also lets the control plane check
    #[arg(
        long,
        value_name = "WHERE",
        num_args = 0..=1,
        require_equals = true,
        default_value = "none",
        default_missing_value = "client"
    )]
    dry_run: DryRun,
    /// How to print what was applied
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    connection: connection::Args,
}

/// How much of a run is dry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// Nothing is: objects are written
    None,
    /// The server is only read
    Client,
    /// The server checks, and keeps nothing
    Server,
}

impl DryRun {
    /// What stands behind a line about an object.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// KIND/NAME
    Name,
}

/// Applies the objects.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let sources = args.input.read().await?;
    let accepted = input::accept(&sources, &args.namespace, "nothing was applied")?;
    input::tell(&input::without_effect(&accepted.objects));
    let mut client = args.connection.client()?;
    let resources = Resources::fetch(&mut client).await?;
    warn::tell(&mut client, &resources, &accepted.objects).await?;
    let mut steps = plan::make(&resources, accepted.objects)?;
    plan::look(&mut client, &mut steps).await?;
    match args.dry_run {
        DryRun::Client => plan::compare(&mut steps),
        DryRun::Server => plan::try_out(&mut client, &mut steps).await?,
        DryRun::None => {
            plan::try_out(&mut client, &mut steps).await?;
            write::all(&mut client, &mut steps).await?;
        }
    }
    print(&args, &steps)
}

fn print(args: &Args, steps: &[Step<'_>]) -> Result<(), Failure> {
    match args.output {
        None => {
            let line = |step: &Step<'_>| {
                format!("{} {}{}\n", step.name(), step.outcome, args.dry_run.suffix())
            };
            output::print(&steps.iter().map(line).collect::<String>())
        }
        Some(Format::Name) => {
            output::print(&steps.iter().map(|step| step.name() + "\n").collect::<String>())
        }
        Some(format) => {
            let value = one_or_list(steps);
            match format {
                Format::Yaml => output::print(&meltemi_api::yaml::write(&value)),
                _ => output::print(&format!("{value:#}\n")),
            }
        }
    }
}

fn one_or_list(steps: &[Step<'_>]) -> Value {
    let mut objects: Vec<Value> = steps.iter().map(|step| step.now().clone()).collect();
    match objects.pop() {
        Some(object) if objects.is_empty() => object,
        last => {
            objects.extend(last);
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects})
        }
    }
}
