//! Towards the mesh: the application's requests and connections go to the services that they name.

pub(crate) mod attempts;
pub(crate) mod captured;
pub(crate) mod changes;
pub(crate) mod conclude;
pub(crate) mod counted;
pub(crate) mod deadline;
pub(crate) mod decide;
pub(crate) mod edit;
pub(crate) mod egress;
pub(crate) mod goal;
pub(crate) mod http;
pub(crate) mod labels;
mod learn;
mod mirror;
mod outcomes;
pub(crate) mod outside;
pub(crate) mod overrides;
pub(crate) mod own;
pub(crate) mod probe;
pub(crate) mod routed;
pub(crate) mod sticky;
pub(crate) mod tcp;
pub(crate) mod view;
