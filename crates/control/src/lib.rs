//! Assembly of a control plane.
