//! The Python package's own part in Rust: the SDK, as Python sees it. What is comfortable is made of it in Python.

mod completion;
mod errors;
mod gone;
mod handler;
mod mesh;
mod request;
mod response;
mod runtime;

use pyo3::prelude::*;

/// The module `meltemi._meltemi`.
#[pymodule]
fn _meltemi(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<mesh::Mesh>()?;
    module.add_class::<mesh::Registered>()?;
    module.add_class::<completion::Completions>()?;
    module.add_class::<completion::Started>()?;
    module.add_class::<response::Response>()?;
    module.add_class::<request::ServerRequest>()?;
    module.add_class::<handler::Responder>()?;
    errors::add(module)
}
