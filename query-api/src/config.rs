//! Settings: each a flag and an environment variable, documented by `--help`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use common::http::ServerConfig;
use common::ids::Currency;
use common::pg::DatabaseSettings;
use common::setting;
use common::telemetry::TelemetryConfig;

/// Answers questions about orders from memory.
#[derive(Debug, Clone, Parser)]
#[command(name = "query-api", version)]
pub struct Config {
    /// Where to listen for HTTP.
    #[arg(long, env = "QUERY_API_ADDRESS", default_value = "127.0.0.1:8081")]
    pub address: SocketAddr,

    #[command(flatten)]
    pub database: DatabaseSettings,

    /// What an answer about one currency is about if the question names none and there are orders in it.
    #[arg(long, env = "DEFAULT_CURRENCY", default_value = "USD")]
    pub default_currency: Currency,

    /// Bytes of memory for answers that are ready to send.
    #[arg(long, env = "CACHE_BYTES", default_value_t = 128 * 1024 * 1024)]
    pub cache_bytes: u64,

    /// How many of the newest orders are loaded before the service is ready; they take at most half of the cache.
    #[arg(long, env = "WARM_ORDERS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub warm_orders: u32,

    /// Connections to PostgreSQL for what is not in memory; one more follows the changes, and one counts in whole periods.
    #[arg(long, env = "POOL_SIZE", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub pool_size: u16,

    /// How long a request waits for one of them before it is answered 503.
    #[arg(long, env = "ACQUIRE_TIMEOUT", default_value = "1s", value_parser = setting::duration)]
    pub acquire_timeout: Duration,

    /// How many requests may wait (`?wait=`) for orders that are not stored yet.
    #[arg(long, env = "MAX_WAITING", default_value_t = 1_000)]
    pub max_waiting: usize,

    /// How many may listen to `/events` at once.
    #[arg(long, env = "MAX_LISTENERS", default_value_t = 2_000, value_parser = listeners)]
    pub max_listeners: usize,

    #[command(flatten)]
    pub server: ServerConfig,

    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

fn listeners(text: &str) -> Result<usize, String> {
    let rule = || "must be a whole number up to 1000000".to_owned();
    let listeners = text.parse().map_err(|_| rule())?;
    (listeners <= 1_000_000)
        .then_some(listeners)
        .ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_setting_is_documented_and_has_a_variable() {
        for argument in Config::command().get_arguments() {
            let name = argument.get_id();
            assert!(argument.get_help().is_some(), "{name} has no help");
            assert!(
                argument.get_env().is_some(),
                "{name} has no environment variable"
            );
        }
    }
}
