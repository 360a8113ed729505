//! The name server of the mesh: its own zone, and forwarding of the rest.
