//! What is shown: the shopper shops, and once a second the sidecars are asked what they have counted.

use std::collections::VecDeque;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::child::Child;
use super::figures::{self, Counts};
use super::home::Home;
use super::interrupts::Interrupts;
use super::mesh::Mesh;
use super::table::{Painter, View, print};
use super::{DemoError, Options, Summary};
use crate::bookshop::Report;

/// Between two counts.
const TICK: Duration = Duration::from_secs(1);
/// How many ticks the table's figures reach back.
const WINDOW: usize = 10;
/// How much longer than it was told the shopper may take for its last answers and its sidecar's end.
const OVERTIME: Duration = Duration::from_secs(40);

/// The demo once everything is up.
pub(super) struct Scene<'a> {
    options: &'a Options,
    home: &'a Home,
    mesh: &'a mut Mesh,
    started: Instant,
    /// The counts of the last ticks, the oldest first.
    samples: VecDeque<(Instant, Vec<Counts>)>,
}

impl<'a> Scene<'a> {
    /// A scene with all that is needed for it.
    pub(super) fn new(options: &'a Options, home: &'a Home, mesh: &'a mut Mesh) -> Scene<'a> {
        Scene { options, home, mesh, started: Instant::now(), samples: VecDeque::new() }
    }

    /// Lets the traffic flow until its time is over, or the first interrupt. Gives the sum of it.
    pub(super) async fn play(mut self, interrupts: &mut Interrupts) -> Result<Summary, DemoError> {
        let path = self.home.file("report.json");
        let mut painter = self.options.live.then(Painter::on_stdout);
        if painter.is_some() {
            print(&self.head())?;
        }
        // Before the first request, so that what is counted from here on is the traffic.
        self.mesh.count().await?;
        self.remember();
        self.mesh.start_shopper(self.home, self.options, &path)?;
        self.watch(&mut painter, interrupts).await?;
        let report = self.report(&path)?;
        self.mesh.count().await?;
        let counts = self.counts();
        Ok(Summary::new(report, figures::by_service(&self.mesh.sidecars, &counts)))
    }

    /// Shows figures until the shopper has gone.
    async fn watch(
        &mut self,
        painter: &mut Option<Painter>,
        interrupts: &mut Interrupts,
    ) -> Result<(), DemoError> {
        let Some(shopper) = self.mesh.shopper() else { return Ok(()) };
        let mut gone = pin!(shopper.ended());
        let mut deadline = self.options.duration.map(|time| Instant::now() + time + OVERTIME);
        let mut told = false;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut gone => return Ok(()),
                () = interrupts.first(), if !told => {
                    self.mesh.shopper().into_iter().for_each(Child::terminate);
                    (told, deadline) = (true, Some(Instant::now() + OVERTIME));
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(self.overtime());
                }
                _ = ticks.tick() => {
                    // A sidecar that does not answer just now may do so at the next tick, and has to at the end.
                    let _ = self.mesh.count().await;
                    self.remember();
                    if let Some(painter) = painter {
                        painter.paint(&self.view())?;
                    }
                }
            }
        }
    }

    fn overtime(&self) -> DemoError {
        DemoError::Late {
            name: "shopper".to_owned(),
            seconds: OVERTIME.as_secs(),
            missing: "it did not end when its time was over",
            log: self.mesh.shopper().map(Child::last_lines).unwrap_or_default(),
        }
    }

    fn counts(&self) -> Vec<Counts> {
        self.mesh.sidecars.iter().map(|sidecar| sidecar.counts.clone()).collect()
    }

    fn remember(&mut self) {
        if self.samples.len() > WINDOW {
            self.samples.pop_front();
        }
        let counts = self.counts();
        self.samples.push_back((Instant::now(), counts));
    }

    fn view(&self) -> View {
        let empty = (self.started, Vec::new());
        let (from, before) = self.samples.front().unwrap_or(&empty);
        let (to, now) = self.samples.back().unwrap_or(&empty);
        let window: Vec<Counts> =
            now.iter().zip(before).map(|(now, before)| now.since(before)).collect();
        let mut all = Counts::default();
        now.iter().for_each(|counts| all.add(counts));
        let gone = self.mesh.gone().map(|(name, how)| format!("{name} has ended ({how})"));
        View {
            elapsed: self.started.elapsed(),
            window: to.duration_since(*from),
            services: figures::by_service(&self.mesh.sidecars, &window),
            mtls_share: all.mtls_share(),
            gone: gone.collect(),
        }
    }

    /// What stands above the table.
    fn head(&self) -> String {
        let api = self.mesh.api.map(|api| format!("http://{api}/")).unwrap_or_default();
        let front = self.mesh.sidecars.iter().find(|it| it.instance.service == "storefront");
        let shop = front.map(|it| format!("http://127.0.0.1:{}/", it.instance.port));
        format!(
            "API                {api} (asks nobody on this machine for a token: it is a demo)\n\
             The shop itself    {}\n\
             To look around     export MELTEMI_STATE_DIR={}\n\
             To end all of it   Ctrl-C\n\n",
            shop.unwrap_or_default(),
            self.home.state().display()
        )
    }

    /// What the shopper has written. That it is there counts, not the exit status, which tells how `run` was ended.
    fn report(&self, path: &Path) -> Result<Report, DemoError> {
        let read = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        read.ok_or_else(|| match self.mesh.shopper() {
            Some(shopper) => {
                let status = shopper.status().unwrap_or_default();
                shopper.failure(status, "without having reported what it saw")
            }
            None => DemoError::Unclear { name: "shopper".to_owned(), what: "nothing".to_owned() },
        })
    }
}
