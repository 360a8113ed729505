//! The targets by name, and their corpora.

use std::path::{Path, PathBuf};

/// A target: its name, which is that of its folder, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 38] = [
    ("announced", crate::announced),
    ("api_request", crate::api_request),
    ("authorizer_answer", crate::authorizer_answer),
    ("authorizer_response", crate::authorizer_response),
    ("certificate", crate::certificate),
    ("chunked", crate::chunked),
    ("client_hello", crate::client_hello),
    ("configuration", crate::configuration),
    ("delta_client", crate::delta_client),
    ("delta_server", crate::delta_server),
    ("detection", crate::detection),
    ("dns", crate::dns),
    ("forwarded_for", crate::forwarded_for),
    ("hash_key", crate::hash_key),
    ("health_answer", crate::health_answer),
    ("http1_request", crate::http1_request),
    ("http1_response", crate::http1_response),
    ("http2_frames", crate::http2_frames),
    ("http2_request", crate::http2_request),
    ("http2_response", crate::http2_response),
    ("join_token", crate::join_token),
    ("jwks", crate::jwks),
    ("jwt", crate::jwt),
    ("load_report", crate::load_report),
    ("load_stats", crate::load_stats),
    ("outcomes", crate::outcomes),
    ("overrides", crate::overrides),
    ("patch", crate::patch),
    ("path", crate::path),
    ("peer", crate::peer),
    ("program_answer", crate::program_answer),
    ("protobuf", crate::protobuf),
    ("registration", crate::registration),
    ("signing_request", crate::signing_request),
    ("spiffe_bundle", crate::spiffe_bundle),
    ("token_places", crate::token_places),
    ("workload_api", crate::workload_api),
    ("yaml", crate::yaml),
];

/// The files of a target's corpus, by name.
///
/// # Errors
/// If its folder cannot be read.
pub fn corpus(target: &str) -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = files.collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}
