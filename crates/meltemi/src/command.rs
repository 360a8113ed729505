//! The command line: one variant and one file a command.

mod analyze;
mod api_resources;
mod apply;
mod authz;
mod bookshop;
mod ca;
mod completion;
mod control;
mod delete;
mod demo;
mod describe;
mod get;
mod kubeconfig;
mod proxy;
mod run;
mod status;
mod token;
mod validate;

use clap::{Parser, Subcommand};

use crate::child;
use crate::exit::Failure;

/// Meltemi, a service mesh in one binary: Istio's API and guarantees, with or without Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "meltemi", version, max_term_width = 100)]
pub struct Meltemi {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a whole mesh: a control plane, a sample application with sidecars, and traffic
    Demo(demo::Args),
    /// Run the control plane in the foreground
    Control(control::Args),
    /// Run a command with a sidecar beside it
    Run(run::Args),
    /// Run a sidecar alone, beside an application that is started elsewhere
    Proxy(proxy::Args),
    /// Apply configuration: all of it, or none
    Apply(apply::Args),
    /// Delete objects
    Delete(delete::Args),
    /// Print objects
    Get(get::Args),
    /// Describe objects for people
    Describe(describe::Args),
    /// Check configuration without a control plane
    Validate(validate::Args),
    /// Look at all configuration together, and tell what does not fit
    Analyze(analyze::Args),
    /// Tell who may do what, and why
    Authz(authz::Args),
    /// Print the kinds of object, and the words for them
    ApiResources(api_resources::Args),
    /// Tell how the control plane is
    Status(status::Args),
    /// Make tokens: for workloads on other machines to join the mesh, and for people to use the API
    Token(token::Args),
    /// Look after the certificate authority: its root, and certificates that are revoked
    Ca(ca::Args),
    /// Print a kubeconfig for the control plane
    Kubeconfig(kubeconfig::Args),
    /// Print a script that makes a shell complete meltemi's commands
    Completion(completion::Args),
    /// One program of the sample application, which `demo` starts
    #[command(hide = true)]
    Bookshop(bookshop::Args),
    /// Becomes the command of `run`, tied to its life
    #[command(name = child::EXEC, hide = true)]
    ExecChild(child::ExecArgs),
}

impl Command {
    /// Whether it serves many clients at once, and is worth a thread per core. A sidecar brings threads of its own for
    /// what it carries.
    pub fn needs_threads(&self) -> bool {
        matches!(self, Self::Control(_) | Self::Bookshop(_))
    }

    /// Whether it stands beside an application, where memory counts.
    pub fn is_sidecar(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Proxy(_))
    }

    /// What is logged where the environment does not say: a command that runs until it is stopped tells more.
    pub fn default_log(&self) -> &'static str {
        if self.runs_until_stopped() { "info" } else { "warn" }
    }

    /// Whether it is a server, or stands beside one.
    pub fn runs_until_stopped(&self) -> bool {
        match self {
            Self::Demo(_)
            | Self::Control(_)
            | Self::Run(_)
            | Self::Proxy(_)
            | Self::Bookshop(_) => true,
            Self::Apply(_)
            | Self::Delete(_)
            | Self::Get(_)
            | Self::Describe(_)
            | Self::Validate(_)
            | Self::Analyze(_)
            | Self::Authz(_)
            | Self::ApiResources(_)
            | Self::Status(_)
            | Self::Token(_)
            | Self::Ca(_)
            | Self::Kubeconfig(_)
            | Self::Completion(_)
            | Self::ExecChild(_) => false,
        }
    }

    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(args) => demo::run(args).await,
            Self::Control(args) => control::run(args).await,
            Self::Run(args) => run::run(args).await,
            Self::Proxy(args) => proxy::run(args).await,
            Self::Apply(args) => apply::run(args).await,
            Self::Delete(args) => delete::run(args).await,
            Self::Get(args) => get::run(args).await,
            Self::Describe(args) => describe::run(args).await,
            Self::Validate(args) => validate::run(args).await,
            Self::Analyze(args) => analyze::run(args).await,
            Self::Authz(args) => authz::run(args).await,
            Self::ApiResources(args) => api_resources::run(args).await,
            Self::Status(args) => status::run(args).await,
            Self::Token(args) => token::run(args).await,
            Self::Ca(args) => ca::run(args).await,
            Self::Kubeconfig(args) => kubeconfig::run(args).await,
            Self::Completion(args) => completion::run(args).await,
            Self::Bookshop(args) => bookshop::run(args).await,
            Self::ExecChild(args) => child::exec(args).await,
        }
    }
}
