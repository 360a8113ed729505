//! The generated messages and services of `proto/`; their documentation stands there.

/// Our own messages.
pub mod meltemi {
    /// Services, endpoints, workloads and registration.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("meltemi.v1");

        impl std::fmt::Debug for Credential {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("Credential(..)")
            }
        }
    }
}

/// Messages of Istio that its clients speak.
pub mod istio {
    /// Version 1.
    pub mod v1 {
        /// The certificate service.
        #[allow(missing_docs, clippy::all)]
        pub mod auth {
            tonic::include_proto!("istio.v1.auth");
        }
    }
}

/// The SPIFFE Workload API, whose service is in no package.
#[allow(missing_docs, clippy::all)]
pub mod spiffe {
    tonic::include_proto!("_");

    impl std::fmt::Debug for X509svid {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("X509svid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
        }
    }
}
