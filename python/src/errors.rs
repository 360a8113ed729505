//! One Python exception for each kind of the SDK's errors.

use meltemi_sdk::Error as SdkError;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(meltemi, Error, PyException, "Something of the mesh does not work.");
create_exception!(
    meltemi,
    ControlPlaneError,
    Error,
    "There is no control plane, or it does not answer."
);
create_exception!(meltemi, RefusedError, Error, "The control plane refuses this workload.");
create_exception!(meltemi, UnknownServiceError, Error, "The mesh knows no such service or port.");
create_exception!(meltemi, NoInstanceError, Error, "No instance of the service can be called.");
create_exception!(
    meltemi,
    UnregisteredError,
    Error,
    "The instance that is to call is not registered."
);
create_exception!(
    meltemi,
    NotRegisteredError,
    Error,
    "The registration did not come to its end in time."
);
create_exception!(meltemi, ResultTooLargeError, Error, "The result is longer than is taken.");
create_exception!(meltemi, TimedOutError, Error, "No answer came in the time that there was.");
create_exception!(meltemi, BrokenOffError, Error, "The answer ended before its end.");
create_exception!(
    meltemi,
    CallerGoneError,
    BrokenOffError,
    "Who has called the handler that does this waits for its answer no longer."
);
create_exception!(meltemi, RequestError, Error, "The request cannot be sent.");
create_exception!(
    meltemi,
    SettingsError,
    Error,
    "What was said of a service or control plane makes no sense."
);
create_exception!(
    meltemi,
    ForkError,
    Error,
    "The process was forked after it had joined the mesh."
);

/// The exception for an error.
pub(crate) fn raise(error: &SdkError) -> PyErr {
    let text = error.to_string();
    match error {
        SdkError::ControlPlane(_) => ControlPlaneError::new_err(text),
        SdkError::Refused(_) => RefusedError::new_err(text),
        SdkError::UnknownService(_) => UnknownServiceError::new_err(text),
        SdkError::NoInstance(_) => NoInstanceError::new_err(text),
        SdkError::Unregistered(_) => UnregisteredError::new_err(text),
        SdkError::NotRegistered(..) => NotRegisteredError::new_err(text),
        SdkError::TooLarge(_) => ResultTooLargeError::new_err(text),
        SdkError::BrokenOff => BrokenOffError::new_err(text),
        SdkError::Request(_) => RequestError::new_err(text),
        SdkError::Settings(_) => SettingsError::new_err(text),
        SdkError::Forked => ForkError::new_err(text),
        _ => Error::new_err(text),
    }
}

/// Adds them to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", py.get_type::<Error>())?;
    module.add("ControlPlaneError", py.get_type::<ControlPlaneError>())?;
    module.add("RefusedError", py.get_type::<RefusedError>())?;
    module.add("UnknownServiceError", py.get_type::<UnknownServiceError>())?;
    module.add("NoInstanceError", py.get_type::<NoInstanceError>())?;
    module.add("UnregisteredError", py.get_type::<UnregisteredError>())?;
    module.add("NotRegisteredError", py.get_type::<NotRegisteredError>())?;
    module.add("ResultTooLargeError", py.get_type::<ResultTooLargeError>())?;
    module.add("TimedOutError", py.get_type::<TimedOutError>())?;
    module.add("BrokenOffError", py.get_type::<BrokenOffError>())?;
    module.add("CallerGoneError", py.get_type::<CallerGoneError>())?;
    module.add("RequestError", py.get_type::<RequestError>())?;
    module.add("SettingsError", py.get_type::<SettingsError>())?;
    module.add("ForkError", py.get_type::<ForkError>())
}
