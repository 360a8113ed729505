//! `meltemi token`: join tokens, with which workloads on other machines enter the mesh, and access tokens, with which
//! people and programs use the API.

mod access;

use std::path::{Path, PathBuf};
use std::time::Duration;

use meltemi_control::{TokenFailure, audited_join_token};
use meltemi_identity::token::Uses;
use meltemi_names::{DEFAULT_NAMESPACE, DEFAULT_SERVICE_ACCOUNT};
use serde_json::json;

use crate::exit::Failure;
use crate::{output, state};

const EXAMPLE: &str = "\
Example:
  # on the control plane's machine, which listens for others: meltemi control --secure-xds 0.0.0.0:15012
  meltemi token create --namespace shop --service-account reviews --ttl 1h \\
    --trust-bundle-out mesh.pem > reviews.token
  # on another machine, with both files; mesh.pem may be seen by all, reviews.token by nobody else
  meltemi run --control https://HOST:15012 --token-file reviews.token --trust-bundle mesh.pem \\
    --namespace shop --service-account reviews --address THIS-MACHINE \\
    --service reviews --port 8001 -- ./reviews";

/// Make tokens: for workloads on other machines to join the mesh, and for people to use the API.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print a token that lets its holder be one service account's workload
    Create(Create),
    /// Print a token that lets its holder use the API as a user; it is shown this once
    Access(access::Access),
    /// List the tokens of the API
    List(access::List),
    /// Make tokens of the API worthless, at once
    Revoke(access::Revoke),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
struct Create {
    /// Namespace of the workload
    #[arg(long, short = 'n', env = "MELTEMI_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NS")]
    namespace: String,
    /// Service account of the workload
    #[arg(long, default_value = DEFAULT_SERVICE_ACCOUNT, value_name = "SA")]
    service_account: String,
    /// How long the token is good for a first certificate: a number with s, m, h or d
    #[arg(long, default_value = "1h", value_parser = ttl, value_name = "TIME")]
    ttl: Duration,
    /// The token is good for one certificate only, within its time
    #[arg(long)]
    single_use: bool,
    /// File to write the mesh's root certificates to (PEM), by which the workload knows its control plane: what
    /// `--trust-bundle` of `run` takes. The control plane must be running
    #[arg(long, value_name = "FILE")]
    trust_bundle_out: Option<PathBuf>,
    /// The bare token, or a JSON object with it
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    state: state::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create(create) => self::create(&create),
        Action::Access(args) => access::access(&args).await,
        Action::List(args) => access::list(&args).await,
        Action::Revoke(args) => access::revoke(&args).await,
    }
}

fn create(args: &Create) -> Result<(), Failure> {
    let Create { namespace, service_account, ttl, .. } = args;
    let state_dir = args.state.path()?;
    let uses = if args.single_use { Uses::Once } else { Uses::Many };
    let token = audited_join_token(&state_dir, namespace, service_account, uses, *ttl);
    let token = token.map_err(|error| match error {
        TokenFailure::Token(error) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    if let Some(path) = &args.trust_bundle_out {
        write(path, &state::control_file(&state_dir)?.trust_bundle)?;
    }
    output::line(&match args.output {
        Form::Text => token,
        Form::Json => json!({
            "token": token,
            "namespace": namespace,
            "service_account": service_account,
            "expires_in_s": ttl.as_secs(),
        })
        .to_string(),
    })
}

/// Writes the certificates. They are public: whoever has them can tell the mesh's members from others, no more.
fn write(path: &Path, bundle: &str) -> Result<(), Failure> {
    std::fs::write(path, bundle).map_err(|error| {
        let path = path.display();
        Failure::Failed(format!("cannot write --trust-bundle-out {path}: {error}"))
    })
}

/// The longest life of a token: it is a password, kept in files.
const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 3600);

/// `90s`, `10m`, `1h`, `7d`.
fn ttl(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: expected a number with s, m, h or d, as in 1h");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let ttl = Duration::from_secs(number.saturating_mul(seconds));
    match ttl {
        Duration::ZERO => Err("a token must be good for at least a second".to_owned()),
        ttl if ttl > MAX_TTL => Err(format!("`{text}` is longer than a year (365d)")),
        ttl => Ok(ttl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h", Some(3600)),
            ("7d", Some(604_800)),
            ("365d", Some(31_536_000)),
            ("366d", None),
            ("0h", None),
            ("1", None),
            ("h", None),
            ("1hh", None),
            ("-1h", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("1ü", None),
            ("", None),
        ] {
            assert_eq!(ttl(text).ok().map(|ttl| ttl.as_secs()), expected, "{text}");
        }
    }
}
