//! One function for each parser that reads bytes of a peer. It takes any bytes, and panics where the parser does or where
//! something that others rely on does not hold.
//!
//! `runner/` has libFuzzer call them; `tests/corpus.rs` replays what was found so far, in `corpus/TARGET/`, on every run of the
//! tests. A crash becomes a file there.

mod control_plane;
mod files;
mod identity;
mod jwt;
mod outcomes;
mod path;
mod words;
mod yaml;

pub use control_plane::{delta_client, delta_server};
pub use files::{TARGETS, corpus};
pub use identity::{certificate, join_token, signing_request, spiffe_bundle, spiffe_id};
pub use jwt::{jwks, jwt};
pub use meltemi_apiserver::fuzzing::{api_request, patch, protobuf};
pub use meltemi_discovery::fuzzing::{load_stats, registration};
pub use meltemi_dns::fuzzing::message as dns;
pub use meltemi_proxy::fuzzing::{
    announced, authorizer_answer, authorizer_response, chunked, client_hello, configuration,
    detection, hash_key, health_answer, http1_request, http1_response, http2_frames, http2_request,
    http2_response, load_report, overrides, peer, program_answer, workload_api,
};
pub use outcomes::outcomes;
pub use path::path;
pub use words::{forwarded_for, token_places};
pub use yaml::yaml;
