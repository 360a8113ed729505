//! The kinds of resource that a control plane serves, found by the API's own discovery, and the words for them.

use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, ClientError, JSON, escape};
use crate::exit::Failure;

/// What `all` stands for: the kinds in which a mesh is described, in the order in which they are shown.
const MAIN_KINDS: [(&str, &str); 11] = [
    ("", "services"),
    ("networking.istio.io", "workloadentries"),
    ("networking.istio.io", "workloadgroups"),
    ("networking.istio.io", "serviceentries"),
    ("networking.istio.io", "virtualservices"),
    ("networking.istio.io", "destinationrules"),
    ("networking.istio.io", "gateways"),
    ("gateway.networking.k8s.io", "gateways"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("security.istio.io", "peerauthentications"),
    ("security.istio.io", "authorizationpolicies"),
];

/// A kind of resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// The version that the server prefers among those in which it serves the kind.
    pub version: String,
    /// As in `VirtualService`.
    pub kind: String,
    /// As in `virtualservices`.
    pub plural: String,
    singular: String,
    short_names: Vec<String>,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
}

impl Resource {
    /// The path of all its objects, of those in a namespace, or of one.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        self.path_in(&self.version, namespace, name)
    }

    /// The same in a version other than the preferred one.
    pub fn path_in(&self, version: &str, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = match self.group.as_str() {
            "" => format!("/api/{}", escape(version)),
            group => format!("/apis/{group}/{}", escape(version)),
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str(&format!("/namespaces/{}", escape(namespace)));
        }
        path.push_str(&format!("/{}", self.plural));
        if let Some(name) = name {
            path.push_str(&format!("/{}", escape(name)));
        }
        path
    }

    /// Its name before that of an object: `service`, `virtualservice.networking.istio.io`.
    pub fn label(&self) -> String {
        let singular = match self.singular.as_str() {
            "" => self.kind.to_ascii_lowercase(),
            singular => singular.to_owned(),
        };
        qualified(&singular, &self.group)
    }

    /// `services`, `virtualservices.networking.istio.io`.
    pub fn full_name(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `v1`, `networking.istio.io/v1`.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let kind = [self.plural.as_str(), self.singular.as_str()].into_iter();
        kind.chain(self.short_names.iter().map(String::as_str)).filter(|word| !word.is_empty())
    }

    /// Whether a word means it: plural, singular, short name or kind, alone or with `.GROUP` (or its beginning) or
    /// `.VERSION.GROUP`.
    fn is_meant(&self, word: &str) -> bool {
        let mut parts = word.splitn(2, '.');
        let (first, rest) = (parts.next().unwrap_or_default(), parts.next());
        let named = self.words().any(|own| own == first) || self.kind.to_ascii_lowercase() == first;
        let grouped = rest.is_none_or(|rest| {
            let versioned = rest.strip_prefix(&format!("{}.", self.version));
            self.group.starts_with(rest) || versioned == Some(&self.group)
        });
        named && grouped
    }
}

fn qualified(word: &str, group: &str) -> String {
    if group.is_empty() { word.to_owned() } else { format!("{word}.{group}") }
}

/// All kinds that a server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources(Vec<Resource>);

impl Resources {
    /// Asks the server.
    pub async fn fetch(client: &mut Client) -> Result<Self, ClientError> {
        let mut all = Vec::new();
        read(&client.get("/api/v1", JSON).await?, "", "v1", &mut all);
        let groups = client.get("/apis", JSON).await?;
        for group in groups["groups"].as_array().into_iter().flatten() {
            let name = group["name"].as_str().unwrap_or_default();
            // The preferred first. Not every kind of a group is served in each of its versions.
            for version in group["versions"].as_array().into_iter().flatten() {
                let version = version["version"].as_str().unwrap_or_default();
                if name.is_empty() || version.is_empty() {
                    continue;
                }
                let path = format!("/apis/{}/{}", escape(name), escape(version));
                read(&client.get(&path, JSON).await?, name, version, &mut all);
            }
        }
        Ok(Self::new(all))
    }

    /// Kubernetes' own kinds come first, Istio's before others: of two kinds with the same name that one is meant.
    fn new(mut all: Vec<Resource>) -> Self {
        all.sort_by_key(|it| (!it.group.is_empty(), !it.group.ends_with("istio.io")));
        Self(all)
    }

    /// The kinds that `services,vs` or `all` mean.
    pub fn find_all(&self, words: &str) -> Result<Vec<&Resource>, Failure> {
        let mut found: Vec<&Resource> = Vec::new();
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let meant = if word.eq_ignore_ascii_case("all") {
                let main = MAIN_KINDS.iter();
                main.filter_map(|(group, plural)| self.of_plural(group, plural)).collect()
            } else {
                vec![self.find(word)?]
            };
            for resource in meant {
                if !found.contains(&resource) {
                    found.push(resource);
                }
            }
        }
        if found.is_empty() {
            return Err(Failure::Usage(format!(
                "{words:?} names no kind: use for example services, or services,virtualservices"
            )));
        }
        Ok(found)
    }

    /// The kind that a word means.
    pub fn find(&self, word: &str) -> Result<&Resource, Failure> {
        let lower = word.to_ascii_lowercase();
        let found = self.0.iter().find(|resource| resource.is_meant(&lower));
        found.ok_or_else(|| Failure::Failed(self.unknown(word, &lower)))
    }

    /// Other kinds that the same word means, for which it is too short.
    pub fn also_meant(&self, word: &str, found: &Resource) -> Vec<&Resource> {
        let lower = word.to_ascii_lowercase();
        self.0.iter().filter(|other| *other != found && other.is_meant(&lower)).collect()
    }

    /// The kind of a document.
    pub fn of_object(&self, api_version: &str, kind: &str) -> Result<&Resource, Failure> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let found = self.0.iter().find(|it| it.group == group && it.kind == kind);
        found.ok_or_else(|| {
            Failure::Failed(format!(
                "the control plane serves no kind {kind:?} of {api_version:?}: \
                 is it of another version than this meltemi?"
            ))
        })
    }

    fn of_plural(&self, group: &str, plural: &str) -> Option<&Resource> {
        self.0.iter().find(|resource| resource.group == group && resource.plural == plural)
    }

    /// The plural, with the group where the plural alone means another kind.
    fn shortest_name(&self, resource: &Resource) -> String {
        let first = self.0.iter().find(|other| other.plural == resource.plural);
        match first == Some(resource) {
            true => resource.plural.clone(),
            false => resource.full_name(),
        }
    }

    fn unknown(&self, word: &str, lower: &str) -> String {
        let near = self
            .0
            .iter()
            .flat_map(|resource| resource.words().map(|own| (distance(own, lower), own)))
            .filter(|(distance, own)| *distance <= 2 && *distance < own.len())
            .min();
        match near {
            Some((_, own)) => {
                format!("the control plane serves no kind {word:?}: did you mean {own:?}?")
            }
            None => {
                let plurals: Vec<String> = self.0.iter().map(|it| self.shortest_name(it)).collect();
                format!(
                    "the control plane serves no kind {word:?}: use one of {}",
                    plurals.join(", ")
                )
            }
        }
    }
}

/// Reads an `APIResourceList`; parts of a kind such as `services/status` are no kinds. What is known already in another
/// version is passed over.
fn read(list: &Value, group: &str, version: &str, into: &mut Vec<Resource>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        name: String,
        #[serde(default)]
        singular_name: String,
        namespaced: bool,
        kind: String,
        #[serde(default)]
        short_names: Vec<String>,
    }
    let listed = list["resources"].as_array().into_iter().flatten();
    for listed in listed.filter_map(|value| Listed::deserialize(value).ok()) {
        let is_known = |it: &Resource| it.group == group && it.plural == listed.name;
        if listed.name.contains('/') || into.iter().any(is_known) {
            continue;
        }
        into.push(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: listed.kind,
            plural: listed.name,
            singular: listed.singular_name,
            short_names: listed.short_names,
            namespaced: listed.namespaced,
        });
    }
}

/// How many letters differ between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
pub(crate) mod tests;
