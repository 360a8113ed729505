//! Outliers that only statistics find: an endpoint that fails most of its requests, but never many in a row.

use meltemi_tests::{Http1, HttpApp, eventually};

use super::shop::{Shop, apps};

const TARGET: &str = "http://shop.example.com/set";
/// Short intervals, long ejections, and nothing that keeps others from being ejected. More failures in a row than the one that
/// fails by turns can have, even when the order of endpoints begins anew because another one went.
const POLICY: &str =
    "{outlierDetection: {consecutive5xxErrors: 8, interval: 1s, baseEjectionTime: 300s,
                       maxEjectionPercent: 100}}";

/// A service of five endpoints, and its caller's connection.
struct Five {
    shop: Shop,
    apps: [HttpApp; 5],
    calls: Http1,
    /// Numbers the rounds, so that the one fails by turns.
    round: usize,
}

impl Five {
    async fn start() -> Five {
        let shop = Shop::start(&[]).await;
        let apps = apps(["a", "b", "c", "d", "e"]).await;
        let endpoints: Vec<_> = apps.iter().map(|app| (app.port(), "")).collect();
        shop.endpoints(&endpoints).await;
        let calls = shop.client.http().await;
        Five { shop, apps, calls, round: 0 }
    }

    /// Applies the rule, with this JSON as the annotation.
    async fn rule(&self, annotation: Option<&str>, policy: &str) {
        let annotation = annotation.map(|it| format!("meltemi.io/outlier-detection: '{it}'"));
        let annotations = format!("{{{}}}", annotation.unwrap_or_default());
        self.shop.annotated(&annotations, policy, "retries: {attempts: 0},").await;
    }

    /// Calls the service five times, of which one fails three of five such rounds; how many requests each had.
    async fn round(&mut self, failing: usize) -> [u64; 5] {
        let is_bad = self.round % 5 < 3;
        self.round += 1;
        self.apps[failing].set_status(if is_bad { 500 } else { 200 });
        let requests = |apps: &[HttpApp; 5]| apps.each_ref().map(HttpApp::requests);
        let before = requests(&self.apps);
        for _ in 0..5 {
            let status = self.calls.get(TARGET).await.status;
            assert!([200, 500].contains(&status), "{status}");
        }
        let after = requests(&self.apps);
        [0, 1, 2, 3, 4].map(|at| after[at] - before[at])
    }

    fn log(&self) -> String {
        self.shop.client.process.log()
    }
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.interval
#[tokio::test(flavor = "multi_thread")]
async fn statistics_eject_who_fails_often_but_never_many_times_in_a_row() {
    let share = r#"{"failurePercentageThreshold": 40, "failurePercentageRequestVolume": 5}"#;
    let rate = r#"{"successRateRequestVolume": 5}"#;
    for (failing, annotation, reason) in
        [(1, share, "reason=\"failure_percentage\""), (3, rate, "reason=\"success_rate\"")]
    {
        let mut five = Five::start().await;
        five.rule(Some(annotation), POLICY).await;
        eventually(reason, async || {
            let seen = five.round(failing).await;
            let is_out = five.log().contains(reason) && seen[failing] == 0;
            is_out.then_some(()).ok_or(format!("{seen:?}"))
        })
        .await;
        let seen = [five.round(failing).await, five.round(failing).await];
        for (at, app) in five.apps.iter().enumerate() {
            let count = seen[0][at] + seen[1][at];
            assert_eq!(count == 0, at == failing, "{}: {seen:?}", app.port());
        }
        let log = five.log();
        assert_eq!(log.matches("an endpoint is ejected").count(), 1, "{log}");
    }
}

/// Fields: DestinationRule spec.trafficPolicy.outlierDetection.interval,
/// spec.trafficPolicy.outlierDetection.baseEjectionTime
#[tokio::test(flavor = "multi_thread")]
async fn without_the_annotation_only_failures_in_a_row_eject() {
    let mut five = Five::start().await;
    five.rule(None, &POLICY.replace("300s", "1ms")).await;
    let (failing, marker) = (0, 4);
    let back = "an ejected endpoint is back";
    // Endpoints come back where intervals end. So two returns have a whole interval between them.
    for times in 1..=2 {
        for (status, line) in [(500, "an endpoint is ejected"), (200, back)] {
            five.apps[marker].set_status(status);
            eventually(line, async || {
                five.round(failing).await;
                let lines = five.log().matches(line).count();
                (lines == times).then_some(()).ok_or(lines.to_string())
            })
            .await;
        }
    }
    let log = five.log();
    assert_eq!(log.matches("reason=\"consecutive_5xx\"").count(), 2, "{log}");
    let seen = [five.round(failing).await, five.round(failing).await];
    assert!(seen[0][failing] + seen[1][failing] > 0, "{seen:?}");
}
