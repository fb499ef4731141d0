//! `/metrics` in Prometheus' text format: what the service recorded, and what the system says about its process.

use std::fmt::Write as _;
use std::fs;
use std::time::SystemTime;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::server::readable;

pub(super) const METRICS: &str = "/metrics";
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The unit of times in `/proc/PID/stat`: Linux shows them in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/metrics` renders.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) recorded: PrometheusHandle,
    pub(super) started_at: SystemTime,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(readable(METRICS, render));
}

/// What the service counts and measures, for Prometheus.
#[utoipa::path(get, path = METRICS, tag = "operation", responses((status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain")))]
pub(super) async fn render(metrics: web::Data<Metrics>) -> HttpResponse {
    let mut text = metrics.recorded.render();
    write_process_metrics(&mut text, metrics.started_at);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, TEXT_FORMAT))
        .body(text)
}

/// The names that Prometheus' client libraries agree on. What this system does not tell is left out.
fn write_process_metrics(text: &mut String, started_at: SystemTime) {
    let mut metric = |name: &str, kind: &str, value: f64| {
        writeln!(text, "# TYPE {name} {kind}\n{name} {value}").expect("a string takes any text");
    };
    let since_epoch = started_at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    metric(
        "process_start_time_seconds",
        "gauge",
        since_epoch.as_secs_f64(),
    );
    if let Ok(status) = fs::read_to_string("/proc/self/status")
        && let Some(kibibytes) = resident_kibibytes(&status)
    {
        metric("process_resident_memory_bytes", "gauge", kibibytes * 1024.0);
    }
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(ticks) = cpu_ticks(&stat)
    {
        metric(
            "process_cpu_seconds_total",
            "counter",
            ticks / TICKS_PER_SECOND,
        );
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        let open = u32::try_from(descriptors.count()).unwrap_or(u32::MAX);
        metric("process_open_fds", "gauge", f64::from(open));
    }
}

/// From a line like `VmRSS:     1234 kB`.
fn resident_kibibytes(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// User and system time: the 14th and 15th field, counted behind the command's name, which may hold spaces.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse::<f64>().ok());
    Some(times.next()?? + times.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert_eq!(
            resident_kibibytes("VmHWM:\t  9 kB\nVmRSS:\t  1234 kB\n"),
            Some(1234.0)
        );
        assert_eq!(resident_kibibytes("Name:\tx\n"), None);
    }

    #[test]
    fn processor_time_is_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(200.0));
    }
}
