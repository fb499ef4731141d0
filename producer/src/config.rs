//! What the producer can be told, by flag or environment.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use common::http::ServerConfig;
use common::setting::duration;
use common::telemetry::TelemetryConfig;

use crate::publisher::PublisherConfig;

/// Takes orders over HTTP and publishes them to Kafka; answers 202 once the broker has confirmed.
#[derive(Debug, Clone, Parser)]
#[command(name = "producer", version, max_term_width = 100)]
pub struct Config {
    /// Where to listen.
    #[arg(long, env = "PRODUCER_ADDRESS", default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,

    /// The query API as clients reach it, for the Location of an accepted order, like http://127.0.0.1:8081
    /// [default: no Location].
    #[arg(long, env = "PUBLIC_QUERY_URL")]
    pub public_query_url: Option<QueryUrl>,

    #[command(flatten)]
    pub orders: OrderSettings,

    #[command(flatten)]
    pub publisher: PublisherConfig,

    #[command(flatten)]
    pub server: ServerConfig,

    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// Limits on what is sent.
#[derive(Debug, Clone, clap::Args)]
pub struct OrderSettings {
    /// How far an order's created_at may lie in the future. The consumer must allow as much.
    #[arg(long, env = "MAX_FUTURE_SKEW", default_value = "1h", value_parser = duration)]
    pub max_future_skew: Duration,

    /// How long the body of a request may take to arrive.
    #[arg(long, env = "BODY_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub body_timeout: Duration,

    /// Bytes of orders held at once, over all requests; an order beyond them is told to come again. Orders of up to 8 KiB
    /// need no such room: MAX_CONNECTIONS bounds them.
    #[arg(long, env = "ORDER_BUFFER_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(524_288..))]
    pub order_buffer_bytes: u32,

    /// Bytes of batches held at once, over all requests; a batch beyond them is told to come again.
    #[arg(long, env = "BATCH_BUFFER_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(16_777_216..))]
    pub batch_buffer_bytes: u32,
}

/// Where the query API is, as a prefix of its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryUrl(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the beginning of a URL, like http://127.0.0.1:8081")]
pub struct InvalidQueryUrl;

impl QueryUrl {
    /// Where an order will be found.
    #[must_use]
    pub fn of_order(&self, order_id: &common::ids::OrderId) -> String {
        // An order id consists of characters that need no escaping in a path.
        format!("{}/orders/{order_id}", self.0)
    }
}

impl std::str::FromStr for QueryUrl {
    type Err = InvalidQueryUrl;

    fn from_str(text: &str) -> Result<Self, InvalidQueryUrl> {
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        let visible =
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()));
        if visible {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(InvalidQueryUrl)
        }
    }
}

#[cfg(test)]
mod tests {
    use common::ids::OrderId;

    use super::*;

    #[test]
    fn every_setting_is_consistent_and_has_a_default() {
        use clap::CommandFactory;
        Config::command().debug_assert();
        Config::try_parse_from(["producer"]).unwrap();
    }

    #[test]
    fn an_order_is_found_below_the_query_url() {
        let url: QueryUrl = "http://localhost:8081/".parse().unwrap();
        let order_id = OrderId::parse("o~1").unwrap();
        assert_eq!(url.of_order(&order_id), "http://localhost:8081/orders/o~1");
        for bad in ["", "localhost:8081", "http://", "http://a b"] {
            assert!(bad.parse::<QueryUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_value_names_its_setting_and_its_rule() {
        let error = Config::try_parse_from(["producer", "--body-timeout", "30"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--body-timeout") && error.contains("like 500ms or 30s"),
            "{error}"
        );
        let error = Config::try_parse_from(["producer", "--kafka-config", "acks=1"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--kafka-config") && error.contains("`acks` cannot be set"),
            "{error}"
        );
    }
}
