//! `meltemi get --watch`: what is there, then each change, across the ends of the server's watches.

use http::StatusCode;
use serde_json::Value;

use super::rows::Rows;
use super::{Args, Format, named, namespace, query, shown, written};
use crate::client::{Client, ClientError, Event, JSON, TABLE};
use crate::exit::Failure;
use crate::output;
use crate::resource::Resource;
use crate::selection::Selected;

/// Prints what is there and each change, until somebody stops it.
pub(super) async fn run(
    args: &Args,
    client: &mut Client,
    selected: &[Selected<'_>],
) -> Result<(), Failure> {
    let [selected] = selected else {
        return Err(Failure::Usage("--watch follows one kind: name one".to_owned()));
    };
    let mut follower = Follower::new(args, selected)?;
    let mut from = follower.begin(client).await?;
    loop {
        let path = follower.path(&from);
        match follower.follow(client, &path, &mut from).await {
            // The server ends a watch after a while: it is taken up where it was.
            Ok(()) => {}
            Err(Stop::Expired) => from = follower.begin(client).await?,
            Err(Stop::Failure(failure)) => return Err(failure),
        }
    }
}

enum Stop {
    /// The server does not keep the version any more: all is to be listed anew.
    Expired,
    Failure(Failure),
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        match error.status() {
            Some(status) if status.code == StatusCode::GONE.as_u16() => Self::Expired,
            _ => Self::Failure(error.into()),
        }
    }
}

struct Follower<'a> {
    args: &'a Args,
    resource: &'a Resource,
    fields: Option<String>,
    rows: Rows,
    told_head: bool,
}

impl<'a> Follower<'a> {
    fn new(args: &'a Args, selected: &Selected<'a>) -> Result<Self, Failure> {
        let fields = match selected.names.as_slice() {
            [] => None,
            [name] => Some(format!("metadata.name={name}")),
            _ => {
                return Err(Failure::Usage(
                    "--watch follows one object, or all: name one".to_owned(),
                ));
            }
        };
        if fields.is_some() && args.field_selector.is_some() {
            return Err(Failure::Usage(
                "--field-selector and a name exclude each other".to_owned(),
            ));
        }
        let rows = Rows::new(args, selected.resource, false);
        Ok(Self { args, resource: selected.resource, fields, rows, told_head: args.no_headers })
    }

    fn accept(&self) -> &'static str {
        if matches!(self.args.output, None | Some(Format::Wide)) { TABLE } else { JSON }
    }

    fn query(&self, more: &[(&str, String)]) -> String {
        let fields = self.fields.iter().map(|fields| ("fieldSelector", fields.clone()));
        query(self.args, &fields.chain(more.iter().cloned()).collect::<Vec<_>>())
    }

    fn path(&self, from: &str) -> String {
        let more = [
            ("watch", "1".to_owned()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("resourceVersion", from.to_owned()),
        ];
        self.resource.path(namespace(self.args), None) + &self.query(&more)
    }

    /// Prints what is there, and gives the version from which changes are wanted.
    async fn begin(&mut self, client: &mut Client) -> Result<String, Failure> {
        let path = self.resource.path(namespace(self.args), None) + &self.query(&[]);
        let answer = client.get(&path, self.accept()).await?;
        let version = answer.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let version = version.unwrap_or_default().to_owned();
        if self.accept() == TABLE {
            self.print(&answer)?;
        } else {
            for object in super::take_objects(self.resource, answer) {
                self.print(&object)?;
            }
        }
        Ok(version)
    }

    /// Prints changes until the server ends the watch.
    async fn follow(&mut self, client: &Client, path: &str, from: &mut String) -> Result<(), Stop> {
        let mut watch = client.watch(path, self.accept()).await?;
        while let Some(Event { kind, object }) = watch.next().await? {
            if let Some(version) = version(&object) {
                *from = version.to_owned();
            }
            if kind != "BOOKMARK" {
                self.print(&object).map_err(Stop::Failure)?;
            }
        }
        Ok(())
    }

    fn print(&mut self, object: &Value) -> Result<(), Failure> {
        match self.args.output {
            None | Some(Format::Wide) => {
                self.rows.take(object);
                let text = self.rows.drain(!self.told_head);
                self.told_head |= !text.is_empty();
                output::print(&text)
            }
            Some(Format::Name) => output::line(&named(self.resource, object)),
            Some(Format::Yaml) => {
                let object = shown(self.args, object.clone());
                output::print(&format!("---\n{}", written(&object, Format::Yaml)))
            }
            Some(Format::Json) => {
                output::print(&written(&shown(self.args, object.clone()), Format::Json))
            }
        }
    }
}

/// The version of an event's object, or of the object in its table.
fn version(object: &Value) -> Option<&str> {
    let row = object.pointer("/rows/0/object/metadata/resourceVersion");
    row.or_else(|| object.pointer("/metadata/resourceVersion"))
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty())
}
