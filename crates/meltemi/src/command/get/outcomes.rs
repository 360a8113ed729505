//! `meltemi get outcomes`: what became of calls, per endpoint and caller, as rows or as the API tells it.

use serde_json::Value;

use super::{Args, Format};
use crate::client::{Client, JSON};
use crate::exit::Failure;
use crate::outcomes::{self, Ejections, Shown};
use crate::output;
use crate::table::Table;

/// The words for them.
const WORDS: [&str; 2] = ["outcomes", "outcome"];

/// Whether the command line asks for outcomes, which are no objects.
pub(super) fn is_meant(args: &Args) -> bool {
    let first = args.words.first().map(|word| word.split_once('/').map_or(&**word, |it| it.0));
    first.is_some_and(|word| WORDS.contains(&word))
}

/// Prints them.
pub(super) async fn run(args: &Args, client: &mut Client) -> Result<(), Failure> {
    check(args)?;
    let names = names(args);
    let namespace = (!args.all_namespaces).then(|| args.namespace.name());
    let (mut items, mut ejections) = (Vec::new(), Vec::new());
    let mut window = Value::Null;
    let asked: Vec<Option<&str>> = match names.is_empty() {
        true => vec![None],
        false => names.iter().map(|name| Some(*name)).collect(),
    };
    for service in asked {
        let path = outcomes::path(service, namespace, args.window.as_deref());
        let mut told = client.get(&path, JSON).await?;
        window = told["windowSeconds"].take();
        for (all, key) in [(&mut items, "items"), (&mut ejections, "ejections")] {
            if let Some(more) = told[key].as_array_mut() {
                all.append(more);
            }
        }
    }
    match args.output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let all = serde_json::json!({
                "windowSeconds": window, "items": items, "ejections": ejections,
            });
            output::print(&super::written(&all, format))
        }
        Some(Format::Name) => Err(no("--output name")),
        None | Some(Format::Wide) if items.is_empty() => {
            output::complain(&format!("No calls were told of within {window} seconds."));
            Ok(())
        }
        None | Some(Format::Wide) => output::print(&rows(args, &items, &Ejections::new(ejections))),
    }
}

fn names(args: &Args) -> Vec<&str> {
    match args.words[0].split_once('/') {
        Some((_, name)) => vec![name],
        None => args.words[1..].iter().map(String::as_str).collect(),
    }
}

/// Refuses the flags that are for objects.
fn check(args: &Args) -> Result<(), Failure> {
    let given = [
        (args.watch, "--watch"),
        (args.selector.is_some(), "--selector"),
        (args.field_selector.is_some(), "--field-selector"),
        (args.show_labels, "--show-labels"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, flag)) => Err(no(flag)),
        None => Ok(()),
    }
}

fn no(flag: &str) -> Failure {
    Failure::Usage(format!("{flag} is for objects: outcomes are none"))
}

fn rows(args: &Args, items: &[Value], ejections: &Ejections) -> String {
    let is_wide = args.output == Some(Format::Wide);
    let mut head = vec!["Service", "Endpoint", "Caller"];
    head.extend(Shown::HEAD);
    if is_wide {
        head.extend(Shown::WIDE_HEAD);
        head.push("Ejected");
    }
    let mut table = Table::new(head);
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let shown = Shown::of(item);
        let place =
            [format!("{}:{}", text("service"), item["port"]), text("endpoint"), text("caller")];
        let more = is_wide.then(|| shown.wide().into_iter().chain([ejections.of_row(item)]));
        let more = more.into_iter().flatten();
        table.push(place.into_iter().chain(shown.cells()).chain(more));
    }
    table.drain(!args.no_headers)
}
