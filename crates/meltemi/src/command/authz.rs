//! `meltemi authz`: who may do what, and why.

mod asked;
mod check;
mod mesh;
mod tell;

use crate::exit::Failure;

/// Tell who may do what, by the AuthorizationPolicies that are there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell whether a caller may do something, and which policy, rule and field decide
    Check(check::Check),
}

/// Does it.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Check(args) => check::run(args).await,
    }
}
