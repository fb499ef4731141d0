//! A broker as a managed cluster has it: encrypted connections only, and only of users who prove themselves. Beside it, the
//! open listener that the test itself uses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::{OwnKafka, place, ports, settings};

const USER: &str = "alice";
/// What `ctl certificate` protects the broker's key with.
const KEY_PASSWORD: &str = "tally-test";

/// A broker with a SASL_SSL listener.
#[derive(Debug)]
pub struct SecuredKafka {
    kafka: OwnKafka,
    address: SocketAddr,
    certificate: PathBuf,
}

impl SecuredKafka {
    /// The only user's.
    pub const PASSWORD: &str = "through-the-looking-glass";

    /// Makes a certificate and starts a broker that shows it.
    ///
    /// # Errors
    /// There is no keytool beside Java, or the broker did not come up.
    pub async fn start() -> anyhow::Result<Self> {
        let certificate = certificate().await?;
        let address = ports::free_address();
        let key = certificate.join("broker.p12");
        let security = "org.apache.kafka.common.security";
        let listener = |name: &str, value: String| format!("listener.name.sasl_ssl.{name}={value}");
        let scram_login = || format!("{security}.scram.ScramLoginModule required;");
        let plain_login = format!(
            "{security}.plain.PlainLoginModule required user_{USER}=\"{}\";",
            Self::PASSWORD
        );
        let user = |mechanism| format!("{mechanism}=[name={USER},password={}]", Self::PASSWORD);
        let properties = [
            format!("listeners+=SASL_SSL://{address}"),
            format!("advertised.listeners+=SASL_SSL://{address}"),
            "listener.security.protocol.map+=SASL_SSL:SASL_SSL".to_owned(),
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
            listener("ssl.keystore.type", "PKCS12".to_owned()),
            listener("ssl.keystore.location", key.display().to_string()),
            listener("ssl.keystore.password", KEY_PASSWORD.to_owned()),
            listener("plain.sasl.jaas.config", plain_login),
            listener("scram-sha-256.sasl.jaas.config", scram_login()),
            listener("scram-sha-512.sasl.jaas.config", scram_login()),
            user("SCRAM-SHA-256"),
            user("SCRAM-SHA-512"),
        ];
        let kafka = OwnKafka::start(&properties.each_ref().map(String::as_str)).await?;
        Ok(Self {
            kafka,
            address,
            certificate,
        })
    }

    /// The secured listener.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.address.to_string()
    }

    /// The same broker as the test reaches it.
    #[must_use]
    pub fn open(&self) -> &OwnKafka {
        &self.kafka
    }

    /// A `KAFKA_CONFIG` for the secured listener.
    #[must_use]
    pub fn client_config(&self, mechanism: &str, password: &str) -> String {
        format!(
            "security.protocol=SASL_SSL,ssl.ca.location={},sasl.mechanism={mechanism},sasl.username={USER},sasl.password={password}",
            self.certificate.join("ca.pem").display(),
        )
    }
}

/// The directory of a new certificate.
async fn certificate() -> anyhow::Result<PathBuf> {
    let place = place::make("certificate");
    let made = tokio::process::Command::new(settings::servers_ctl())
        .args(["certificate", "--dir"])
        .arg(&place)
        .stdin(Stdio::null())
        .output()
        .await
        .context("scripts/servers/ctl")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "no certificate: {said}");
    Ok(place)
}
