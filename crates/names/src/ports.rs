//! The ports that Meltemi listens on unless told otherwise; Istio's numbers where Istio has one.

/// Configuration API and dashboard.
pub const API: u16 = 15080;
/// xDS in plaintext.
pub const XDS: u16 = 15010;
/// xDS, registration and certificate service over TLS.
pub const SECURE_XDS: u16 = 15012;
/// Metrics of the control plane.
pub const MONITORING: u16 = 15014;
/// The mesh's name server, UDP and TCP.
pub const DNS: u16 = 15053;
/// A proxy's admin interface.
pub const ADMIN: u16 = 15000;
/// A sidecar's outbound listener: what the application sends enters the mesh here.
pub const OUTBOUND: u16 = 15001;
/// A sidecar's inbound listener: what the mesh sends to the application enters here.
pub const INBOUND: u16 = 15006;
/// HBONE (HTTP-based overlay network environment).
pub const HBONE: u16 = 15008;
/// A proxy's Prometheus endpoint, `/stats/prometheus`.
pub const PROXY_METRICS: u16 = 15020;
/// A proxy's health endpoint, `/healthz/ready`.
pub const HEALTH: u16 = 15021;
