//! Which objects a command line names: `KIND NAME...`, `KIND/NAME...`, and in which namespace.

use crate::exit::Failure;
use crate::output;
use crate::resource::{Resource, Resources};

/// The namespace flag.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Namespace {
    /// Namespace of the objects; `default` if not given
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

impl Namespace {
    /// The one to use where an object names none.
    pub fn name(&self) -> &str {
        self.namespace.as_deref().unwrap_or(meltemi_names::DEFAULT_NAMESPACE)
    }

    /// The one on the command line.
    pub fn given(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Refuses what cannot be a namespace.
    pub fn check(&self) -> Result<(), Failure> {
        match self.given() {
            Some(name) if !meltemi_names::is_dns_label(name) => Err(Failure::Usage(format!(
                "--namespace {name:?} is not the name of a namespace: use lower-case letters, digits and '-'"
            ))),
            _ => Ok(()),
        }
    }
}

/// A kind, and the names of its objects that are meant; none stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The kind.
    pub resource: &'a Resource,
    /// The names.
    pub names: Vec<String>,
}

/// Reads `KIND[,KIND] [NAME...]` or `KIND/NAME...`.
pub fn select<'a>(
    resources: &'a Resources,
    words: &[String],
) -> Result<Vec<Selected<'a>>, Failure> {
    let Some((first, rest)) = words.split_first() else {
        return Err(Failure::Usage("which kind? for example services, or all".to_owned()));
    };
    if words.iter().any(|word| word.contains('/')) {
        return pairs(resources, words);
    }
    let kinds = resources.find_all(first)?;
    if let [resource] = kinds.as_slice() {
        tell_others(resources, first, resource);
    }
    Ok(kinds.into_iter().map(|resource| Selected { resource, names: unique(rest) }).collect())
}

/// Reads `KIND/NAME...`; names of one kind are taken together.
fn pairs<'a>(resources: &'a Resources, words: &[String]) -> Result<Vec<Selected<'a>>, Failure> {
    let mut all: Vec<Selected<'a>> = Vec::new();
    for word in words {
        let pair = word
            .split_once('/')
            .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'));
        let Some((kind, name)) = pair else {
            return Err(Failure::Usage(format!(
                "{word:?} is not KIND/NAME: use either KIND NAME... or KIND/NAME... throughout"
            )));
        };
        let resource = resources.find(kind)?;
        match all.iter_mut().find(|selected| selected.resource == resource) {
            Some(selected) if selected.names.iter().any(|known| known == name) => {}
            Some(selected) => selected.names.push(name.to_owned()),
            None => {
                tell_others(resources, kind, resource);
                all.push(Selected { resource, names: vec![name.to_owned()] });
            }
        }
    }
    Ok(all)
}

fn unique(names: &[String]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        if !unique.contains(name) {
            unique.push(name.clone());
        }
    }
    unique
}

/// `gateways` are Istio's and the Gateway API's: says which were taken.
fn tell_others(resources: &Resources, word: &str, found: &Resource) {
    for other in resources.also_meant(word, found) {
        output::complain(&format!(
            "note: {word} was read as {}; for the other kind say {}",
            found.full_name(),
            other.full_name()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::tests::served;

    fn selected(line: &str) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let served = served();
        let found = select(&served, &words)?.into_iter();
        Ok(found.map(|it| (it.resource.plural.clone(), it.names)).collect())
    }

    fn kind(plural: &str, names: &[&str]) -> (String, Vec<String>) {
        (plural.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn kinds_and_names() {
        for (line, expected) in [
            ("svc", vec![kind("services", &[])]),
            ("svc a b a", vec![kind("services", &["a", "b"])]),
            ("svc,vs a", vec![kind("services", &["a"]), kind("virtualservices", &["a"])]),
            (
                "svc/a vs/b services/c svc/a",
                vec![kind("services", &["a", "c"]), kind("virtualservices", &["b"])],
            ),
        ] {
            assert_eq!(selected(line), Ok(expected), "{line}");
        }
        for wrong in ["", "svc/a b", "svc/", "/a", "svc/a/b"] {
            assert!(matches!(selected(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
        assert!(matches!(selected("nothing/a"), Err(Failure::Failed(_))));
    }
}
