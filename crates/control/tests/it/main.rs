//! Whole control planes on free ports, with real clients on real sockets.

mod api;
mod certificates;
mod discovery;
mod dns;
mod faults;
mod folder;
mod http;
mod load_stats;
mod mesh;
mod outlived;
mod registration;
mod rejected;
mod restart;
mod rules;
