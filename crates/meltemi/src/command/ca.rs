//! `meltemi ca`: how the certificate authority is, a new root for it, and certificates that are revoked.

use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Failure;
use crate::{connection, output};

const EXAMPLE: &str = "\
Example:
  meltemi ca status
  # a new root, without an outage; the old one is believed until all that it has signed is over
  meltemi ca rotate
  meltemi ca retire
  # a stolen certificate, and all of a service account that were signed until now
  meltemi ca revoke --serial 3f9c0012 --reason 'laptop stolen'
  meltemi ca revoke --principal cluster.local/ns/shop/sa/web
  kubectl get certificaterevocations";

const CA: &str = "/meltemi/v1/ca";
const REVOCATIONS: &str = "/apis/meltemi.io/v1alpha1/certificaterevocations";

/// Look after the certificate authority: its root, and certificates that are revoked
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the roots, who signs, and how far a replacement is
    Status(Status),
    /// Replace the root: make a new one, wait until all proxies believe it, let it sign
    Rotate(Step),
    /// Believe the old root no more, once nothing that it has signed is good
    Retire(Step),
    /// Refuse certificates before their time is over
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
struct Status {
    /// For people, or one JSON object
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
struct Step {
    /// Go on though some workloads would be shut out
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
#[group(skip)]
struct Revoke {
    /// Serial number of a certificate, hex, as the audit log has it; may be repeated
    #[arg(long, value_name = "HEX", required_unless_present = "principal")]
    serial: Vec<String>,
    /// Whose certificates of before this moment are refused, TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT; may be repeated
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Vec<String>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Name of the revocation; made up if left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Status(args) => status(&args).await,
        Action::Rotate(step) => rotate(&step).await,
        Action::Retire(step) => retire(&step).await,
        Action::Revoke(args) => revoke(&args).await,
    }
}

async fn status(args: &Status) -> Result<(), Failure> {
    let found = args.connection.client()?.get(CA, crate::client::JSON).await?;
    match args.output {
        Form::Json => output::line(&found.to_string()),
        Form::Text => output::print(&told(&found)),
    }
}

/// What there is, for people.
fn told(found: &Value) -> String {
    let text = |name: &str| found[name].as_str().unwrap_or("-");
    let mut lines = format!(
        "trust domain   {}\nsigns until    {}\nproxies        {} follow, {} behind\n",
        text("trustDomain"),
        text("signingUntil"),
        found["proxies"],
        found["proxiesBehind"]
    );
    let roots = found["roots"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, root) in roots.iter().enumerate() {
        let role = match (at, text("rotation")) {
            (0, _) => "signs".to_owned(),
            (_, "prepared") => "to come: `meltemi ca rotate` goes on".to_owned(),
            _ => format!("believed until {}: `meltemi ca retire`", text("oldRootUntil")),
        };
        lines.push_str(&format!("root           {}  {role}\n", root.as_str().unwrap_or("-")));
    }
    lines
}

/// Goes on where an attempt before has stopped.
async fn rotate(step: &Step) -> Result<(), Failure> {
    let mut client = step.connection.client()?;
    let found = client.get(CA, crate::client::JSON).await?;
    if found["rotation"] != "prepared" {
        post(&mut client, "prepare", false).await?;
        output::line("a new root is made, and told to the proxies")?;
    }
    let found = post(&mut client, "activate", step.force).await?;
    output::line("the new root signs; proxies renew their certificates now")?;
    output::print(&told(&found))
}

async fn retire(step: &Step) -> Result<(), Failure> {
    let found = post(&mut step.connection.client()?, "retire", step.force).await?;
    output::line("the old root is believed no more")?;
    output::print(&told(&found))
}

async fn post(client: &mut Client, step: &str, force: bool) -> Result<Value, Failure> {
    let path = format!("{CA}/root/{step}?force={force}");
    Ok(client.post(&path, &json!({})).await?.body)
}

async fn revoke(args: &Revoke) -> Result<(), Failure> {
    let mut metadata = json!({"generateName": "revocation-"});
    if let Some(name) = &args.name {
        metadata = json!({"name": name});
    }
    let revocation = json!({
        "apiVersion": "meltemi.io/v1alpha1",
        "kind": "CertificateRevocation",
        "metadata": metadata,
        "spec": {
            "serialNumbers": args.serial,
            "principals": args.principal,
            "reason": args.reason,
        },
    });
    let made = args.connection.client()?.post(REVOCATIONS, &revocation).await?.body;
    let name = made.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    output::line(&format!("certificaterevocation.meltemi.io/{name} created"))
}
