//! Servers of a test's own, for faults that others must not feel. `scripts/servers/ctl` starts and stops them, the same way
//! as everyone's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};

use crate::process::{ProcessId, Signal};
use crate::{TestDatabase, TestTopic, place, ports, settings};

/// How PostgreSQL is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended and everything is written.
    Fast,
    /// As a crash: nothing is written, recovery follows.
    Immediate,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Postgres,
    Kafka,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
        }
    }

    fn setting_option(self) -> &'static str {
        match self {
            Self::Postgres => "--setting",
            Self::Kafka => "--property",
        }
    }
}

/// A server in a directory of its own, on a port that it keeps.
#[derive(Debug)]
struct OwnServer {
    kind: Kind,
    place: PathBuf,
    port: u16,
    options: Vec<String>,
    frozen: Vec<ProcessId>,
}

impl OwnServer {
    async fn start(kind: Kind, settings: &[&str]) -> anyhow::Result<Self> {
        let (place, port) = (place::make(kind.name()), ports::free_address().port());
        let options = settings
            .iter()
            .flat_map(|setting| [kind.setting_option(), setting]);
        let options = options.map(str::to_owned).collect();
        let server = Self {
            kind,
            place,
            port,
            options,
            frozen: Vec::new(),
        };
        server.start_again().await?;
        Ok(server)
    }

    /// On the same data and the same port; running already is fine.
    async fn start_again(&self) -> anyhow::Result<()> {
        let port = self.port.to_string();
        let options = ["--port", &port]
            .into_iter()
            .chain(self.options.iter().map(String::as_str));
        self.control("start", options).await
    }

    async fn control<'a>(
        &self,
        verb: &str,
        options: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<()> {
        let run = tokio::process::Command::new(settings::servers_ctl())
            .args([self.kind.name(), verb, "--dir"])
            .arg(&self.place)
            .args(options)
            .stdin(Stdio::null())
            .output()
            .await
            .context("scripts/servers/ctl")?;
        if !run.status.success() {
            bail!(
                "{} {verb}: {}",
                self.kind.name(),
                String::from_utf8_lossy(&run.stderr)
            );
        }
        Ok(())
    }

    fn process(&self) -> anyhow::Result<ProcessId> {
        ProcessId::recorded(&self.place.join("pid"))
    }

    /// Stops every process of it from running, as a machine that hangs would: connections stay, nobody answers.
    fn freeze(&mut self) -> anyhow::Result<()> {
        // The parent first: it would start others while those that run are looked for.
        let parent = self.process()?;
        parent.signal(Signal::STOP)?;
        self.frozen = parent.tree();
        signal_those_alive(&self.frozen, Signal::STOP)
    }

    fn thaw(&mut self) -> anyhow::Result<()> {
        signal_those_alive(&std::mem::take(&mut self.frozen), Signal::CONT)
    }

    fn log(&self) -> PathBuf {
        self.place.join("log")
    }
}

/// Sessions end when they will, between two looks too.
fn signal_those_alive(processes: &[ProcessId], signal: Signal) -> anyhow::Result<()> {
    processes
        .iter()
        .try_for_each(|process| match process.signal(signal) {
            Err(error) if process.is_alive() => Err(error),
            _ => Ok(()),
        })
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        place::tell_log(&self.log());
        if let Err(error) = self.thaw() {
            eprintln!("{error:#}");
        }
        let removed = std::process::Command::new(settings::servers_ctl())
            .args([self.kind.name(), "remove", "--dir"])
            .arg(&self.place)
            .status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("{} was not removed", self.place.display());
        }
    }
}

/// A PostgreSQL that a test may stop, kill and freeze.
#[derive(Debug)]
pub struct OwnPostgres(OwnServer);

impl OwnPostgres {
    /// Starts one. `settings` are `name=value`, as in `postgresql.conf`.
    ///
    /// # Errors
    /// It did not come up; the reason and its log's end are told.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Self> {
        let small = ["shared_buffers=64MB", "max_connections=100"];
        let settings: Vec<&str> = small.iter().chain(settings).copied().collect();
        OwnServer::start(Kind::Postgres, &settings).await.map(Self)
    }

    /// A superuser's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://tally@127.0.0.1:{}/tally", self.0.port)
    }

    /// A new, migrated database on it.
    pub async fn database(&self) -> TestDatabase {
        TestDatabase::create(&self.url()).await
    }

    /// # Errors
    /// It did not stop.
    pub async fn stop(&self, how: Stop) -> anyhow::Result<()> {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.0.control("stop", ["--mode", mode]).await
    }

    /// Kills the server's first process with SIGKILL; the sessions notice and end.
    ///
    /// # Errors
    /// It did not run.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.0.process()?.signal(Signal::KILL)
    }

    /// On the same data and port; returns when it answers.
    ///
    /// # Errors
    /// It did not come up.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        self.0.start_again().await
    }

    /// Freezes the server and its sessions, those that exist now.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.0.freeze()
    }

    /// # Errors
    /// A process that still is there could not be signalled.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        self.0.thaw()
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.place
    }
}

/// A broker that a test may stop, kill and freeze.
#[derive(Debug)]
pub struct OwnKafka(OwnServer);

impl OwnKafka {
    /// Starts one. `properties` are `name=value`, as in `server.properties`.
    ///
    /// # Errors
    /// It did not come up; the reason and its log's end are told.
    pub async fn start(properties: &[&str]) -> anyhow::Result<Self> {
        OwnServer::start(Kind::Kafka, properties).await.map(Self)
    }

    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// A new topic on it.
    pub async fn topic(&self, partitions: i32) -> TestTopic {
        TestTopic::create(&self.brokers(), partitions).await
    }

    /// # Errors
    /// It did not stop.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.0.control("stop", []).await
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// It does not run, or cannot be killed.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.0.control("stop", ["--kill"]).await
    }

    /// On the same data and port; returns when it answers.
    ///
    /// # Errors
    /// It did not come up.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        self.0.start_again().await
    }

    /// # Errors
    /// It does not run.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.0.freeze()
    }

    /// # Errors
    /// It could not be signalled.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        self.0.thaw()
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.place
    }
}
