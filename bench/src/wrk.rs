//! wrk, which asks many questions at once: <https://github.com/wg/wrk>.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

/// wrk's own threads: it shares the cores with what it measures.
const THREADS: &str = "2";

/// It takes its turn. Else the system lets whoever was woken run at once: where an answer takes the server longer than wrk, wrk
/// stops it after each, and both pay for changing places. Clients on machines of their own would not.
const POLICY: [&str; 2] = ["--batch", "0"];

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub enum Requests<'a> {
    /// Orders, no two with the same id; the prefix is one that no other run has.
    Orders { prefix: &'a str },
    /// One path after the other, and then from the first again.
    Paths(&'a [String]),
}

/// What was seen over a whole run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub requests_per_second: f64,
    pub p99: Duration,
}

/// Asks `url` over `connections` for `duration`, with these requests.
///
/// # Errors
/// wrk is missing, an answer was no 2xx, or a connection failed.
pub async fn run(
    url: &str,
    connections: usize,
    duration: Duration,
    requests: Requests<'_>,
) -> anyhow::Result<Seen> {
    let place = lab::place("wrk");
    let file = place.join("script.lua");
    let (script, arguments) = match requests {
        Requests::Orders { prefix } => (include_str!("../wrk/post.lua"), vec![prefix.to_owned()]),
        Requests::Paths(paths) => {
            // More than a command line holds.
            let listed = place.join("paths");
            std::fs::write(&listed, paths.join("\n"))?;
            let listed = listed.to_string_lossy().into_owned();
            (
                include_str!("../wrk/get.lua"),
                vec![listed, THREADS.to_owned()],
            )
        }
    };
    std::fs::write(&file, script)?;
    let output = Command::new("chrt")
        .args(POLICY)
        .arg("wrk")
        .args(["--threads", THREADS, "--latency", "--timeout", "10s"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", duration.as_secs())])
        .arg("--script")
        .arg(&file)
        .arg(url)
        .arg("--")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .context("chrt, wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "wrk: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for trouble in ["Non-2xx", "Socket errors"] {
        if let Some(line) = text.lines().find(|line| line.contains(trouble)) {
            bail!("{url}: {}", line.trim());
        }
    }
    read(&text).with_context(|| text.into_owned())
}

fn read(text: &str) -> Option<Seen> {
    let after = |label: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .map(str::trim)
    };
    Some(Seen {
        requests_per_second: after("Requests/sec:")?.parse().ok()?,
        p99: duration(after("99%")?)?,
    })
}

/// `1.23ms`, `456.00us`, `1.50s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-6)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else {
        (text.strip_suffix('s')?, 1.0)
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 5s test\n  Latency Distribution\n     50%    1.01ms\n     99%    4.30ms\n  100 requests in 5.00s, 1MB read\nRequests/sec:  61234.50\nTransfer/sec:      1.00MB\n";
        let seen = read(text).unwrap();
        assert_eq!(seen.requests_per_second, 61234.5);
        assert_eq!(seen.p99, Duration::from_micros(4300));
        assert_eq!(duration("456.00us"), Some(Duration::from_micros(456)));
        assert_eq!(duration("1.50s"), Some(Duration::from_millis(1500)));
    }
}
