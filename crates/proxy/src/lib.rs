//! The data plane: what happens to a connection and a request.
