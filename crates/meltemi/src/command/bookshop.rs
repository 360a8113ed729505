//! `meltemi bookshop`: one program of the sample application. Hidden: `meltemi demo` starts them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::bookshop::{Catalog, Edition, Ratings, Reviews, Shopper, Storefront};
use crate::command::demo::duration;
use crate::exit::Failure;

/// What `meltemi bookshop` is given.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// The shop's pages, made of what the catalog and the reviews know
    Storefront {
        /// Where to listen on loopback; 0 takes a free port
        #[arg(long)]
        port: u16,
        /// The catalog's address
        #[arg(long, value_name = "URL", default_value = "http://catalog:9090")]
        catalog: String,
        /// The reviews' address
        #[arg(long, value_name = "URL", default_value = "http://reviews:9080")]
        reviews: String,
    },
    /// The books, over gRPC
    Catalog {
        /// Where to listen on loopback; 0 takes a free port
        #[arg(long)]
        port: u16,
    },
    /// What readers say
    #[command(disable_version_flag = true)]
    Reviews {
        /// Where to listen on loopback; 0 takes a free port
        #[arg(long)]
        port: u16,
        /// v1 shows no stars, v2 black ones, v3 red ones
        #[arg(long, default_value = "v1")]
        version: Edition,
        /// The ratings' address
        #[arg(long, value_name = "URL", default_value = "http://ratings:9080")]
        ratings: String,
    },
    /// The stars that readers gave
    Ratings {
        /// Where to listen on loopback; 0 takes a free port
        #[arg(long)]
        port: u16,
    },
    /// Looks at books at a steady rate, and reports what it saw
    Shopper {
        /// The storefront's address
        #[arg(long, value_name = "URL", default_value = "http://storefront:9080")]
        storefront: String,
        /// Requests a second
        #[arg(long, default_value = "200")]
        rate: NonZeroU32,
        /// How long; until SIGTERM if not given
        #[arg(long, value_parser = duration)]
        duration: Option<Duration>,
        /// File for the report; standard output if not given
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
}

/// Runs the program until it is done or told to end.
pub async fn run(args: Args) -> Result<(), Failure> {
    let outcome = match args.program {
        Program::Storefront { port, catalog, reviews } => {
            Storefront { port, catalog, reviews }.run().await
        }
        Program::Catalog { port } => Catalog { port }.run().await,
        Program::Reviews { port, version: edition, ratings } => {
            Reviews { port, edition, ratings }.run().await
        }
        Program::Ratings { port } => Ratings { port }.run().await,
        Program::Shopper { storefront, rate, duration, report } => {
            Shopper { storefront, rate, duration, report }.run().await
        }
    };
    outcome.map_err(|error| Failure::Failed(error.to_string()))
}
