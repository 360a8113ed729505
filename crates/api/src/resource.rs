//! A resource of any kind.

use serde::Deserialize;
use serde_json::Value;

use crate::kind::with_kinds;
use crate::metadata::{ObjectMeta, describe};
use crate::parse::findings_of;
use crate::refuse::{self, Path, Report};
use crate::{Finding, Kind};

/// What every kind's type can do.
pub(crate) trait Checked {
    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// Checks what the shape alone does not say.
    fn check(&self, report: &mut Report);
}

macro_rules! resources {
    ($($variant:ident($type:path): $group:literal $versions:expr, $kind:literal,
        $plural:literal $singular:literal $short:expr, $namespaced:literal;)*) => {
        /// An object of the user's, read and checked.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Resource {
            $(#[doc = concat!("A `", $kind, "`.")] $variant(Box<$type>),)*
        }

        impl Resource {
            /// What kind it is of.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Resource::$variant(_) => Kind::$variant,)*
                }
            }

            /// Reads an object whose shape was checked.
            pub(crate) fn decode(kind: Kind, value: Value, report: &mut Report) -> Option<Self> {
                let read = match kind {
                    $(Kind::$variant => <$type>::deserialize(value).map(|it| Resource::$variant(Box::new(it))),)*
                };
                match read {
                    Ok(resource) => Some(resource),
                    Err(error) => {
                        report.error(Path::root(), error.to_string());
                        None
                    }
                }
            }

            fn checked(&self) -> &dyn Checked {
                match self {
                    $(Resource::$variant(it) => &**it,)*
                }
            }
        }
    };
}

with_kinds!(resources);

impl Resource {
    /// Reads an object: its shape by its kind's schema, then what the kind itself checks. Warnings alone are no
    /// reason to refuse it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_value(value: Value) -> Result<Resource, Vec<Finding>> {
        let mut report = Report::default();
        let object = describe(&value);
        let resource = refuse::read(value, &mut report);
        let findings = findings_of(report, &object, |_| Default::default());
        match resource {
            Some(resource) if !findings.iter().any(Finding::is_error) => Ok(resource),
            _ => Err(findings),
        }
    }

    /// The object's metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        self.checked().metadata()
    }

    /// Checks metadata, and what the kind adds.
    pub(crate) fn check(&self, report: &mut Report) {
        self.metadata().check(self.kind(), report);
        crate::annotations::check(self.kind(), self.metadata(), report);
        self.checked().check(report);
    }
}
