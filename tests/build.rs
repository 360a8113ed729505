//! Generates the test application's gRPC service, without a protobuf compiler on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../crates/wire/proto/spiffe");
    let files = ["calls.proto", "health.proto", "spiffe/workload.proto"];
    let descriptors = protox::compile(files, ["proto", "../crates/wire/proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
