//! The way from an object to one of its fields.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To a field of an object, or a key of a map.
    Field(String),
    /// To an item of a list.
    Item(usize),
}

/// Where in an object something is, as in `spec.http[0].route[1].destination.host`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of the object.
    pub fn of(field: &str) -> Self {
        Self::root().field(field)
    }

    /// A field of what is here.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.then(Step::Field(name.to_owned()))
    }

    /// Another field of the object that this field is of.
    #[must_use]
    pub(crate) fn beside(&self, name: &str) -> Self {
        let above = self.0.split_last().map_or(&[][..], |(_, above)| above);
        Self(above.to_vec()).field(name)
    }

    /// An item of the list that is here.
    #[must_use]
    pub fn item(&self, at: usize) -> Self {
        self.then(Step::Item(at))
    }

    /// The steps from the object on.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether the other is here or below.
    pub(crate) fn holds(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Field(name) if !is_plain(name) => write!(f, "[{name}]")?,
                Step::Field(name) if at == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand after a dot without doubt.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_$".contains(&byte))
}
