//! The problems found in one object so far.

use super::Path;
use crate::Severity;

/// One problem; where in the text it is comes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) path: Path,
    /// Whether the field's name is wrong, rather than its value.
    pub(crate) is_on_key: bool,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl Problem {
    /// Adds what to write instead.
    pub(crate) fn suggest(&mut self, suggestion: impl Into<String>) -> &mut Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Says that the field's name is wrong.
    pub(crate) fn on_key(&mut self) -> &mut Self {
        self.is_on_key = true;
        self
    }
}

/// So many problems of one object are told; nobody reads more.
const MOST: usize = 1000;

/// Collects problems.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    /// How many more there are.
    left_out: usize,
    /// The last of those, with the severity of the worst.
    beyond: Option<Problem>,
}

impl Report {
    /// Adds an error.
    pub(crate) fn error(&mut self, path: Path, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Error, path, message.into())
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, path: Path, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Warning, path, message.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        if let Some(beyond) = self.beyond {
            let message = format!("{} more problems", self.left_out);
            let (path, is_on_key, suggestion) = (Path::root(), false, None);
            let severity = beyond.severity;
            self.problems.push(Problem { severity, path, is_on_key, message, suggestion });
        }
        self.problems
    }

    /// Drops problems after the first `causes` that merely follow from one of those: something is missing, say, because
    /// its name is misspelt.
    pub(crate) fn drop_consequences(&mut self, causes: usize) {
        let later = self.problems.split_off(causes);
        let is_own =
            |later: &Problem| !self.problems.iter().any(|cause| later.path.holds(&cause.path));
        let own: Vec<_> = later.into_iter().filter(is_own).collect();
        self.problems.extend(own);
    }

    fn push(&mut self, severity: Severity, path: Path, message: String) -> &mut Problem {
        let at = self.problems.len();
        let problem = Problem { severity, path, is_on_key: false, message, suggestion: None };
        if at < MOST {
            self.problems.push(problem);
            return &mut self.problems[at];
        }
        self.left_out += 1;
        let worst = self.beyond.as_ref().map_or(severity, |it| it.severity.min(severity));
        self.beyond.insert(Problem { severity: worst, ..problem })
    }
}
