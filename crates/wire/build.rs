//! Generates messages and services from `proto/`, without a protobuf compiler on the machine.

use std::error::Error;

const FILES: [&str; 4] = [
    "meltemi/v1/mesh.proto",
    "meltemi/v1/registration.proto",
    "istio/v1/auth/ca.proto",
    "spiffe/workload.proto",
];

/// Messages that are not to be seen in logs; their `Debug` is written by hand.
const SECRET: [&str; 2] = ["meltemi.v1.Credential", "X509SVID"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // Ordered maps: the same message must always become the same bytes, whose hash is its version.
    tonic_prost_build::configure().btree_map(".").skip_debug(SECRET).compile_fds(descriptors)?;
    Ok(())
}
