//! Metrics in the text format of Prometheus.
//!
//! - H23 Metrics are for this machine and for administrators, and name no account.
//!
//! Specified in docs/operating.md#metrics.

use crate::sync::SyncMetric;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counters of a server.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<BTreeMap<(&'static str, u16), RequestCount>>);

/// Requests of one call with one status.
#[derive(Clone, Copy, Default)]
struct RequestCount {
    count: u64,
    duration: Duration,
}

/// Values at the time of the report.
pub(crate) struct Gauges {
    /// Passwords that are hashed or wait.
    pub(crate) passwords: usize,
    /// Passwords that were not hashed, because their client had closed.
    pub(crate) passwords_skipped: u64,
    /// Lines that sources beyond their rate did not get.
    pub(crate) lines_left_out: u64,
    /// Time since the start.
    pub(crate) uptime: Duration,
}

impl Metrics {
    /// Counts a request.
    pub(crate) fn count(&self, call: &'static str, status: u16, duration: Duration) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let request = requests.entry((call, status)).or_default();
        request.count += 1;
        request.duration = request.duration.saturating_add(duration);
    }

    /// Returns all metrics as text.
    pub(crate) fn report(&self, gauges: &Gauges) -> String {
        let mut text = String::new();
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        head(&mut text, "requests_total", ("counter", "Requests by call and status."));
        for ((call, status), request) in &requests {
            let labels = format!("{{call=\"{call}\",status=\"{status}\"}}");
            line(&mut text, &format!("requests_total{labels}"), request.count);
        }
        head(&mut text, "request_seconds_total", ("counter", "Time of the requests."));
        for ((call, status), request) in &requests {
            let labels = format!("{{call=\"{call}\",status=\"{status}\"}}");
            let seconds = request.duration.as_secs_f64();
            line(&mut text, &format!("request_seconds_total{labels}"), seconds);
        }
        head(&mut text, "passwords_waiting", ("gauge", "Passwords that are hashed or wait."));
        line(&mut text, "passwords_waiting", gauges.passwords);
        let about = "Passwords that were not hashed because their client had closed.";
        head(&mut text, "passwords_skipped_total", ("counter", about));
        line(&mut text, "passwords_skipped_total", gauges.passwords_skipped);
        let about = "Log lines that sources beyond their rate did not get.";
        head(&mut text, "log_lines_left_out_total", ("counter", about));
        line(&mut text, "log_lines_left_out_total", gauges.lines_left_out);
        head(&mut text, "uptime_seconds", ("gauge", "Time since the start."));
        line(&mut text, "uptime_seconds", gauges.uptime.as_secs());
        text
    }
}

/// Appends a metric of sync.
pub(crate) fn append(text: &mut String, metric: &SyncMetric) {
    head(text, metric.name, (metric.kind, metric.about));
    line(text, metric.name, metric.value);
}

fn head(text: &mut String, name: &str, (kind, about): (&str, &str)) {
    writeln!(text, "# HELP fastness_{name} {about}\n# TYPE fastness_{name} {kind}")
        .expect("H23: a string takes what is written");
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(text, "fastness_{name} {value}").expect("H23: a string takes what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_call_and_status() {
        let metrics = Metrics::default();
        for status in [200, 200, 401] {
            metrics.count("log-in", status, Duration::from_millis(500));
        }
        let uptime = Duration::from_secs(5);
        let gauges = Gauges { passwords: 3, passwords_skipped: 7, lines_left_out: 4, uptime };
        let text = metrics.report(&gauges);
        for line in [
            "# TYPE fastness_requests_total counter",
            "fastness_requests_total{call=\"log-in\",status=\"200\"} 2",
            "fastness_requests_total{call=\"log-in\",status=\"401\"} 1",
            "fastness_request_seconds_total{call=\"log-in\",status=\"200\"} 1",
            "fastness_passwords_waiting 3",
            "fastness_passwords_skipped_total 7",
            "fastness_log_lines_left_out_total 4",
            "fastness_uptime_seconds 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
