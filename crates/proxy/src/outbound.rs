//! Towards the mesh: the application's requests and connections go to the services that they name.

pub(crate) mod captured;
pub(crate) mod decide;
pub(crate) mod http;
pub(crate) mod labels;
pub(crate) mod tcp;
