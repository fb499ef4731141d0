//! librdkafka's properties as operators set them, the same for whoever talks to Kafka.
//!
//! Their values may be passwords: nothing here ever shows one.

use std::str::FromStr;

use clap::builder::{StringValueParser, TypedValueParser, ValueParserFactory};
use clap::error::ErrorKind;

/// What a guarantee rests on.
const RESERVED: [&str; 18] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "transactional.id",
    "partitioner",
    // Without reports of success nothing would ever be acknowledged.
    "delivery.report.only.error",
    "auto.offset.reset",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "group.id",
    "partition.assignment.strategy",
    "enable.partition.eof",
    "statistics.interval.ms",
    // Orders of a transaction that was aborted do not count.
    "isolation.level",
    "max.poll.interval.ms",
    // A broker in memory, which loses what it acknowledges.
    "test.mock.num.brokers",
];

/// What has a setting of its own.
const SETTINGS: [(&str, &str); 7] = [
    ("bootstrap.servers", "KAFKA_BROKERS"),
    ("metadata.broker.list", "KAFKA_BROKERS"),
    ("message.timeout.ms", "DELIVERY_TIMEOUT"),
    ("delivery.timeout.ms", "DELIVERY_TIMEOUT"),
    ("session.timeout.ms", "SESSION_TIMEOUT"),
    ("group.instance.id", "INSTANCE_ID"),
    ("group.protocol", "GROUP_PROTOCOL"),
];

/// Second names of what a service sets itself: under its own name the operator's value takes the place of ours.
const ALIASES: [(&str, &str); 3] = [
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
];

/// Why properties were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperties {
    #[error("part {0} is not of the form property=value (a comma in a value is written `\\,`)")]
    Form(usize),
    #[error("`{0}` cannot be set: a guarantee rests on it")]
    Reserved(String),
    #[error("`{0}` cannot be set here: {1} is its setting")]
    HasSetting(String, &'static str),
}

/// librdkafka properties as settings carry them: `k=v,k=v`. A comma in a value is written `\,`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaProperties(Vec<(String, String)>);

impl KafkaProperties {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::fmt::Debug for KafkaProperties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl FromStr for KafkaProperties {
    type Err = InvalidProperties;

    fn from_str(text: &str) -> Result<Self, InvalidProperties> {
        const ESCAPED_COMMA: &str = "\\,";
        const STAND_IN: &str = "\u{0}";
        let parts = text.replace(ESCAPED_COMMA, STAND_IN);
        let parts = (1..).zip(parts.split(',').map(str::trim));
        let properties = parts
            .filter(|(_, part)| !part.is_empty())
            .map(|(number, part)| {
                let (name, value) = part
                    .split_once('=')
                    .ok_or(InvalidProperties::Form(number))?;
                let name = allowed(name.trim())?;
                Ok((name.to_owned(), value.trim().replace(STAND_IN, ",")))
            });
        properties.collect::<Result<_, _>>().map(Self)
    }
}

/// The name under which a property is set, if it may be.
fn allowed(name: &str) -> Result<&str, InvalidProperties> {
    let bare = name.strip_prefix("topic.").unwrap_or(name);
    if RESERVED.contains(&bare) {
        return Err(InvalidProperties::Reserved(name.to_owned()));
    }
    if let Some((_, setting)) = SETTINGS.iter().find(|(property, _)| *property == bare) {
        return Err(InvalidProperties::HasSetting(name.to_owned(), setting));
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    Ok(alias.map_or(name, |(_, property)| property))
}

/// clap's own parsers repeat a value that they refuse.
#[derive(Clone)]
pub struct PropertiesParser;

impl ValueParserFactory for KafkaProperties {
    type Parser = PropertiesParser;

    fn value_parser() -> PropertiesParser {
        PropertiesParser
    }
}

impl TypedValueParser for PropertiesParser {
    type Value = KafkaProperties;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<KafkaProperties, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        text.parse().map_err(|error: InvalidProperties| {
            let name = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid value for '{name}': {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn properties_are_split_at_commas_and_keep_escaped_ones() {
        let properties: KafkaProperties = "compression.type=lz4, sasl.password=a\\,b=c,"
            .parse()
            .unwrap();
        let pairs: Vec<_> = properties.iter().collect();
        assert_eq!(
            pairs,
            [("compression.type", "lz4"), ("sasl.password", "a,b=c")]
        );
    }

    #[test]
    fn a_property_that_a_guarantee_rests_on_is_refused_by_name() {
        for name in RESERVED {
            for text in [format!("{name}=1"), format!("lz=1, topic.{name} = 0")] {
                let error = text.parse::<KafkaProperties>().unwrap_err();
                assert!(matches!(error, InvalidProperties::Reserved(_)), "{text}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn a_property_with_a_setting_of_its_own_is_refused_with_its_name() {
        let error = "delivery.timeout.ms=1".parse::<KafkaProperties>();
        let said = error.unwrap_err().to_string();
        assert!(said.contains("DELIVERY_TIMEOUT is its setting"), "{said}");
    }

    #[test]
    fn a_second_name_means_the_same_property() {
        for (alias, property) in ALIASES {
            let properties: KafkaProperties = format!("{alias}=5").parse().unwrap();
            assert_eq!(properties.iter().collect::<Vec<_>>(), [(property, "5")]);
        }
    }

    #[test]
    fn no_value_is_ever_shown() {
        #[derive(Debug, clap::Parser)]
        struct Settings {
            #[arg(long, default_value = "")]
            kafka_config: KafkaProperties,
        }
        let shown = |config: &str| match Settings::try_parse_from(["t", "--kafka-config", config]) {
            Ok(settings) => format!("{settings:?} {:?}", settings.kafka_config),
            Err(error) => format!("{error} {error:?}"),
        };
        for config in [
            "sasl.password=secret",
            "sasl.password=secret,acks=1",
            "sasl.password=a,secret",
            "sasl.password=secret,client.rack",
        ] {
            let shown = shown(config);
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert!(shown("acks=1").contains("--kafka-config <KAFKA_CONFIG>': `acks` cannot be set"));
    }
}
