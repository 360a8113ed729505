//! The user's resources: one module a kind; parsing, defaults, validation and JSON Schema. Pure.
