//! Workload identity: keys, CSRs, SVIDs, trust bundles, rotation, TLS configurations and the CA.
//!
//! The way of an identity: [`key::generate`] makes a key, [`csr::create`] asks for a certificate,
//! [`ca::admit`] decides who may get which SPIFFE id (a [`token`] or a living certificate proves it),
//! [`ca::Authority`] signs, the [`Svid`] and the [`TrustBundle`] become an [`Identity`] with ready-made
//! TLS configurations, and [`rotate::run`] renews it at half life.

mod bundle;
pub mod ca;
pub mod csr;
mod deny;
mod federation;
mod identity;
pub mod key;
mod outlived;
mod private_file;
pub mod rotate;
mod svid;
pub mod tls;
pub mod token;

pub use bundle::{BundleError, SpiffeBundle, TrustBundle};
pub use deny::DenyList;
pub use federation::Federation;
pub use identity::{AlpnPlan, Identity, IdentityError, TlsConfigs, Trust};
pub use key::{KeyError, KeyPair};
pub use outlived::Outlived;
pub use private_file::{FileError, is_private};
pub use svid::{Svid, SvidError, serial_of_pem};
