//! Whole meshes of real processes: control planes, sidecars, applications and clients on loopback.
//!
//! Each module holds what must be true of one subject. A test starts its own mesh in a directory of its own.

mod access_log;
mod api;
mod authorization;
mod bad_answers;
mod bad_input;
mod balance;
mod commands;
mod configured;
mod connections;
mod control_plane;
mod discovery;
mod dns;
mod federation;
mod fields;
mod garbage;
mod groups;
mod grpc;
mod headers;
mod http1;
mod http2;
mod identity;
mod instances;
mod keep_alive;
mod language;
mod large;
mod metrics;
mod outcomes;
mod peer_authentication;
mod proxy_config;
mod python;
mod request_authentication;
mod sdk;
mod spire;
mod tcp;
mod threats;
mod three_workloads;
mod traffic;
mod trust;
