//! Answers of applications, for a fuzz target.

use super::attempt::grpc;

/// An answer of gRPC's health service: what is no whole message that begins as one is none.
pub(crate) fn health_answer(bytes: &[u8]) {
    if grpc::status(bytes).is_ok() {
        assert!(bytes.len() >= 5 && bytes[0] == 0, "{bytes:?}");
    }
}
