//! The real binary, from its command line to its exit code.

mod analyze;
mod apply;
mod apply_fails;
mod authz;
mod delete;
mod demo;
mod describe;
mod get;
mod mesh;
mod operate;
mod run;
mod validate;
mod watch;
