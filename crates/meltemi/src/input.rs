//! The flag `-f`: files, directories and standard input, read and checked before anything is done with them.

use std::path::{Path, PathBuf};

use meltemi_api::parse::{Accepted, Source};
use meltemi_api::{Finding, Options, files, parse};

use crate::exit::Failure;
use crate::output;
use crate::selection::Namespace;

/// Endings of the files that are read of a directory.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Where objects are read from.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// File or directory with YAML or JSON, or - for standard input; may be repeated
    #[arg(short, long, value_name = "FILE", value_delimiter = ',', required = true)]
    filename: Vec<PathBuf>,
    /// Also read the directories below those given
    #[arg(short = 'R', long)]
    recursive: bool,
}

/// The same for commands that can do without.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct OptionalArgs {
    /// File or directory with YAML or JSON, or - for standard input; may be repeated
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    filename: Vec<PathBuf>,
    /// Also read the directories below those given
    #[arg(short = 'R', long, requires = "filename")]
    recursive: bool,
}

impl OptionalArgs {
    /// The flags, if there are any.
    pub fn given(&self) -> Option<Args> {
        let Self { filename, recursive } = self.clone();
        (!filename.is_empty()).then_some(Args { filename, recursive })
    }
}

impl Args {
    /// Reads all texts.
    pub async fn read(&self) -> Result<Vec<Source>, Failure> {
        let mut paths = Vec::new();
        for path in &self.filename {
            paths.extend(self.expand(path)?);
        }
        // Standard input may keep its reader waiting.
        let read = tokio::task::spawn_blocking(move || files::read(&paths)).await;
        let read =
            read.map_err(|error| Failure::Failed(format!("the input was not read: {error}")))?;
        read.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// A directory's own files, unless those below it are wanted, too.
    fn expand(&self, path: &Path) -> Result<Vec<PathBuf>, Failure> {
        if let Some(text) = path.to_str().filter(|text| text.contains("://")) {
            return Err(Failure::Usage(format!(
                "{text} is not a file: fetch it yourself, as in `curl {text} | meltemi apply -f -`"
            )));
        }
        if self.recursive || path.as_os_str() == files::STDIN || !path.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let unreadable = |error: std::io::Error| {
            Failure::Failed(format!("{}: cannot be read: {error}", path.display()))
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            if is_wanted(&entry) {
                paths.push(entry);
            }
        }
        if paths.is_empty() {
            return Err(Failure::Failed(format!(
                "{}: no file ending in .yaml, .yml or .json is in this directory: -R also reads those below it",
                path.display()
            )));
        }
        paths.sort();
        Ok(paths)
    }
}

fn is_wanted(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
    let has_ending = path.extension().is_some_and(|ending| ENDINGS.iter().any(|it| ending == *it));
    !is_hidden && has_ending && path.is_file()
}

/// Checks texts as one input: all of it holds, or all problems are told.
pub fn check(sources: &[Source], namespace: &Namespace) -> Result<Accepted, Vec<Finding>> {
    let accepted = parse::parse(sources, &Options { namespace: namespace.name().to_owned() })?;
    let foreign = namespace
        .given()
        .into_iter()
        .flat_map(|given| accepted.objects.iter().filter_map(move |object| foreign(object, given)));
    let unusable = accepted.objects.iter().filter_map(unusable);
    let errors: Vec<Finding> = foreign.chain(unusable).collect();
    if errors.is_empty() { Ok(accepted) } else { Err(errors) }
}

/// The object holds by itself, but sidecars could not use it.
fn unusable(object: &meltemi_api::Parsed) -> Option<Finding> {
    let kind = object.kind();
    let message =
        meltemi_model::read::check_routes(kind.group(), kind.plural(), &object.value).err()?;
    Some(Finding {
        severity: meltemi_api::Severity::Error,
        file: object.file.clone(),
        line: object.line,
        column: 1,
        object: format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name()),
        path: "spec".to_owned(),
        message,
        suggestion: None,
    })
}

/// Warnings of the objects, and of fields of them, that change nothing in this version.
pub fn without_effect(objects: &[meltemi_api::Parsed]) -> Vec<Finding> {
    objects.iter().flat_map(meltemi_api::Parsed::without_effect).collect()
}

/// The object names another namespace than the command line: one of the two is a mistake.
fn foreign(object: &meltemi_api::Parsed, given: &str) -> Option<Finding> {
    let own = object.namespace().filter(|own| *own != given)?;
    Some(Finding {
        severity: meltemi_api::Severity::Error,
        file: object.file.clone(),
        line: object.line,
        column: 1,
        object: format!("{} {own}/{}", object.kind(), object.name()),
        path: "metadata.namespace".to_owned(),
        message: format!("is {own:?}, while the command says --namespace {given}"),
        suggestion: Some("leave one of the two out".to_owned()),
    })
}

/// Checks texts as one input, and tells people what is wrong. `spared` says what did not happen then.
pub fn accept(
    sources: &[Source],
    namespace: &Namespace,
    spared: &str,
) -> Result<Accepted, Failure> {
    let accepted = check(sources, namespace).map_err(|findings| {
        tell(&findings);
        let errors = findings.iter().filter(|finding| finding.is_error()).count();
        let found = counted(errors, "error");
        Failure::Failed(format!("{found} in the input, {spared}: correct what is listed above"))
    })?;
    tell(&accepted.warnings);
    if accepted.objects.is_empty() {
        return Err(Failure::Failed(format!(
            "the input holds no object, {spared}: is it the right file?"
        )));
    }
    Ok(accepted)
}

/// Tells people of findings.
pub fn tell(findings: &[Finding]) {
    for finding in findings {
        output::complain(&finding.to_string());
    }
}

/// `1 error`, `2 errors`.
pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
