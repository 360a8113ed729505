//! `ReferenceGrant`: who may name objects of this namespace.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::ObjectMeta;
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::{Condition, form};

/// Who may name objects of this namespace.
pub type ReferenceGrant = Object<ReferenceGrantSpec, ReferenceGrantStatus>;

/// Who may name objects of this namespace.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct ReferenceGrantSpec {
    /// Who.
    #[schemars(length(min = 1, max = 16))]
    pub from: Vec<ReferenceGrantFrom>,
    /// Which objects.
    #[schemars(length(min = 1, max = 16))]
    pub to: Vec<ReferenceGrantTo>,
}

/// Objects that may name others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ReferenceGrantFrom {
    /// Their group; empty for the core group.
    pub group: String,
    /// Their kind.
    #[schemars(with = "form::Filled")]
    pub kind: String,
    /// Their namespace.
    #[schemars(with = "form::DnsLabel")]
    pub namespace: String,
}

/// Objects that may be named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ReferenceGrantTo {
    /// Their group; empty for the core group.
    pub group: String,
    /// Their kind.
    #[schemars(with = "form::Filled")]
    pub kind: String,
    /// The name of one; all where it is left out.
    #[schemars(with = "Option<form::Filled>")]
    pub name: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReferenceGrantStatus {
    /// How it is.
    pub conditions: Vec<Condition>,
}

impl Spec for ReferenceGrantSpec {
    fn check(&self, _: &ObjectMeta, _: &Path, _: &mut Report) {}
}
