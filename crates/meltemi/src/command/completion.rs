//! `meltemi completion`: what shells need to complete commands and flags.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::command::Meltemi;
use crate::exit::Failure;
use crate::output;

const EXAMPLE: &str = "\
Example:
  source <(meltemi completion bash)
  meltemi completion zsh > ~/.zfunc/_meltemi
  meltemi completion fish > ~/.config/fish/completions/meltemi.fish";

/// Flags of `meltemi completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The shell to print the script for.
    shell: Shell,
}

/// Prints the script.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Meltemi::command(), "meltemi", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
