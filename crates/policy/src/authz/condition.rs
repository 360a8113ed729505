//! What else must hold, as a field like the others.

use super::attribute::Attribute;
use super::compile::Field;
use super::rule::Condition;

impl Condition {
    /// Its values with what they are compared with.
    pub(super) fn field(&self) -> Field<'_> {
        Field {
            attribute: Attribute::of_key(&self.key),
            demanded: ("values", &self.values),
            forbidden: ("notValues", &self.not_values),
        }
    }
}
