//! What bytes of clients go through before anybody knows who they are of, for the fuzz targets in `fuzz/`.

use crate::protobuf;

/// A body in Kubernetes' protobuf form: what is read is an object with its type, as in JSON.
pub fn protobuf(bytes: &[u8]) {
    if let Ok(object) = protobuf::read(bytes) {
        assert!(object["kind"].is_string() && object["apiVersion"].is_string(), "{object}");
        assert!(serde_json::to_vec(&object).is_ok(), "it can be written as JSON");
    }
}
