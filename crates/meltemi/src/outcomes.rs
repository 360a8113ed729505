//! Outcomes of calls as the API tells them, for people.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::escape;

/// The path that tells them.
pub(crate) fn path(service: Option<&str>, namespace: Option<&str>, window: Option<&str>) -> String {
    let asked = [("service", service), ("namespace", namespace), ("window", window)];
    let pairs = asked.into_iter().filter_map(|(key, it)| Some(format!("{key}={}", escape(it?))));
    format!("/meltemi/v1/outcomes?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// The figures of one row.
pub(crate) struct Shown<'a>(&'a Value);

impl<'a> Shown<'a> {
    /// The names of [`Shown::cells`].
    pub(crate) const HEAD: [&'static str; 6] = ["Success", "Rate", "Calls", "P50", "P90", "P99"];
    /// The names of [`Shown::wide`].
    pub(crate) const WIDE_HEAD: [&'static str; 4] = ["Failures", "In flight", "Sent", "Received"];

    pub(crate) fn of(item: &'a Value) -> Self {
        Shown(item)
    }

    pub(crate) fn cells(&self) -> [String; 6] {
        let item = self.0;
        let success = item["successRate"].as_f64().map(|it| format!("{:.2}%", it * 100.0));
        let rate = item["callsPerSecond"].as_f64().unwrap_or_default();
        let latency = |name: &str| match item["latencyMillis"][name].as_f64() {
            Some(millis) if millis < 10.0 => format!("{millis:.2}ms"),
            Some(millis) if millis < 1000.0 => format!("{millis:.0}ms"),
            Some(millis) => format!("{:.2}s", millis / 1000.0),
            None => "-".to_owned(),
        };
        [
            success.unwrap_or_else(|| "-".to_owned()),
            format!("{rate:.1}/s"),
            item["calls"].to_string(),
            latency("p50"),
            latency("p90"),
            latency("p99"),
        ]
    }

    pub(crate) fn wide(&self) -> [String; 4] {
        let failures = self.0["failures"].as_object().into_iter().flatten();
        let failures: Vec<String> =
            failures.map(|(class, count)| format!("{class}:{count}")).collect();
        let count = |name: &str| self.0[name].to_string();
        [
            if failures.is_empty() { "-".to_owned() } else { failures.join(",") },
            count("inFlight"),
            count("sentBytes"),
            count("receivedBytes"),
        ]
    }
}

/// Which endpoints callers have ejected.
#[derive(Debug, Default)]
pub(crate) struct Ejections(Vec<Value>);

impl Ejections {
    /// These, as the API tells them.
    pub(crate) fn new(told: Vec<Value>) -> Ejections {
        Ejections(told)
    }

    /// Those of an answer of the API's, if it tells any.
    pub(crate) fn of(told: Option<&Value>) -> Ejections {
        Ejections(told.and_then(|it| it["ejections"].as_array()).cloned().unwrap_or_default())
    }

    /// What is to be said of an endpoint, `NAMESPACE/NAME`; `None` where nobody has ejected it. Of several callers the one is named
    /// that all others were told by, else the one that leaves it out the longest.
    pub(crate) fn words(&self, endpoint: &str) -> Option<String> {
        let found = || self.0.iter().filter(|it| it["endpoint"] == *endpoint);
        let rank = |it: &&Value| (it["toldToAll"] == true, it["secondsLeft"].as_u64());
        let first = found().max_by_key(rank)?;
        let left = found().filter_map(|it| it["secondsLeft"].as_u64()).max().unwrap_or_default();
        let caller = |it: &Value| it["caller"].as_str().unwrap_or_default().to_owned();
        let callers: BTreeSet<String> = found().map(caller).collect();
        let (caller, others) = (caller(first), callers.len() - 1);
        let is_told = first["toldToAll"] == true;
        Some(match (is_told, others) {
            (true, 0) => format!("back in {left} s, told by {caller}"),
            (true, _) => format!("back in {left} s, told by {caller} and {others} more"),
            (false, 0) => format!("back in {left} s, for {caller} alone"),
            (false, _) => format!("back in {left} s, for {caller} and {others} more"),
        })
    }

    /// For how long a caller has ejected the endpoint that a row is about; `-` where it has not.
    pub(crate) fn of_row(&self, item: &Value) -> String {
        let keys = ["service", "port", "endpoint", "caller"];
        let found = self.0.iter().find(|it| keys.iter().all(|key| it[*key] == item[*key]));
        found.map_or_else(|| "-".to_owned(), |it| format!("{}s", it["secondsLeft"]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_shown_as_people_read_them() {
        let item = json!({
            "calls": 3, "successRate": 0.6667, "callsPerSecond": 0.05, "failures": {"5xx": 1},
            "inFlight": 0, "sentBytes": 5, "receivedBytes": 7,
            "latencyMillis": {"p50": 1.234, "p90": 45.6, "p99": 2345.0},
        });
        let shown = Shown::of(&item);
        assert_eq!(shown.cells(), ["66.67%", "0.1/s", "3", "1.23ms", "46ms", "2.35s"]);
        assert_eq!(shown.wide(), ["5xx:1", "0", "5", "7"]);
        let none = json!({"calls": 0, "latencyMillis": null, "successRate": null});
        assert_eq!(Shown::of(&none).cells(), ["-", "0.0/s", "0", "-", "-", "-"]);
    }

    #[test]
    fn what_is_asked_for_is_in_the_path() {
        assert_eq!(path(None, None, None), "/meltemi/v1/outcomes?");
        let whole = path(Some("a b"), Some("shop"), Some("5m"));
        assert_eq!(whole, "/meltemi/v1/outcomes?service=a%20b&namespace=shop&window=5m");
    }

    #[test]
    fn who_has_ejected_an_endpoint_is_said_in_short() {
        let ejection = |endpoint: &str, caller: &str, left: u32, is_told: bool| {
            json!({
                "service": "hello", "port": 80, "endpoint": endpoint, "caller": caller,
                "secondsLeft": left, "toldToAll": is_told,
            })
        };
        let told = json!({"ejections": [
            ejection("shop/1", "shop/a", 9, true),
            ejection("shop/1", "shop/b", 24, false),
            ejection("shop/2", "shop/b", 3, false),
        ]});
        let ejections = Ejections::of(Some(&told));
        let words = |endpoint: &str| ejections.words(endpoint);
        assert_eq!(words("shop/1").as_deref(), Some("back in 24 s, told by shop/a and 1 more"));
        assert_eq!(words("shop/2").as_deref(), Some("back in 3 s, for shop/b alone"));
        assert_eq!((words("shop/3"), Ejections::of(None).words("shop/1")), (None, None));
        let mut row = ejection("shop/1", "shop/b", 0, false);
        assert_eq!(ejections.of_row(&row), "24s");
        row["port"] = json!(81);
        assert_eq!(ejections.of_row(&row), "-");
    }
}
