//! The binaries of this workspace as processes: what to run, a run to its end, and a service that keeps running.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::patience::eventually;
use crate::process::{ProcessId, Signal};
use crate::{Metrics, place, ports, settings};

/// Longer than any service takes to become ready on a busy machine.
pub const START_PATIENCE: Duration = Duration::from_secs(60);
/// For a run that ends by itself.
const RUN_PATIENCE: Duration = Duration::from_secs(300);
/// For a process that was killed to be gone.
const REAP_PATIENCE: Duration = Duration::from_secs(10);

/// A binary of this workspace with its arguments and its whole environment.
#[derive(Debug, Clone)]
pub struct Program {
    binary: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Program {
    /// `binary` as Cargo built it beside this test. It sees nothing of the test's environment but the `PATH`
    /// and whose it is.
    #[must_use]
    pub fn named(binary: &str) -> Self {
        let environment = [
            ("PATH", settings::path()),
            // By this scripts/test finds what a test has left running.
            (
                "TALLY_TEST_DIR",
                settings::directory().display().to_string(),
            ),
            ("RUST_BACKTRACE", "1".to_owned()),
            ("LOG_FORMAT", "human".to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ];
        Self {
            binary: binary.to_owned(),
            arguments: Vec::new(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        }
    }

    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    #[must_use]
    pub fn set_all<'a>(self, settings: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        settings
            .into_iter()
            .fold(self, |program, (name, value)| program.set(name, value))
    }

    /// Runs it to its end with an empty standard input.
    ///
    /// # Errors
    /// It cannot be started, or has not ended after some minutes (it is killed then).
    pub async fn run(&self) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::from(self.command()?);
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        tokio::time::timeout(RUN_PATIENCE, running)
            .await
            .with_context(|| format!("{} did not end", self.binary))?
            .with_context(|| self.binary.clone())
    }

    /// Starts it as a service called `name` that is to listen on `address` (which is also in its settings).
    ///
    /// # Errors
    /// It cannot be started.
    pub fn serve(self, name: &str, address: SocketAddr) -> anyhow::Result<Service> {
        let place = place::make(name);
        let mut service = Service {
            name: name.to_owned(),
            program: self,
            address,
            place,
            running: None,
            is_ended: false,
            peak_resident_bytes: 0,
        };
        service.start()?;
        Ok(service)
    }

    /// Starts it as a service on a free port, which it is told by the setting `address_setting`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn serve_anywhere(self, name: &str, address_setting: &str) -> anyhow::Result<Service> {
        let address = ports::free_address();
        self.set(address_setting, address).serve(name, address)
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(built(&self.binary)?);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment);
        Ok(command)
    }
}

/// Where Cargo put a binary: beside this program's own, or beside the `deps/` that a test's executable is in.
fn built(binary: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let own_folder = own.parent().context("a program lies in a folder")?;
    let folder = if own_folder.ends_with("deps") {
        own_folder.parent().context("deps lies in target/…")?
    } else {
        own_folder
    };
    let path = folder.join(binary);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first",
        path.display()
    );
    Ok(path)
}

/// A service that runs until it is stopped, and is killed with the value. Its log is shown where the test fails.
#[derive(Debug)]
pub struct Service {
    name: String,
    program: Program,
    address: SocketAddr,
    place: PathBuf,
    running: Option<(Child, ProcessId)>,
    /// Whether the test itself has killed or stopped it.
    is_ended: bool,
    /// Of the processes that were ended so far.
    peak_resident_bytes: u64,
}

impl Service {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Starts it, also again after it ended: with the same settings, address and log.
    ///
    /// # Errors
    /// It runs, or cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(!self.is_running(), "{} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.place.join("log"))?;
        let child = self
            .program
            .command()?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.name.clone())?;
        let process = ProcessId::of(child.id())?;
        process.record(&self.place.join("pid"))?;
        self.running = Some((child, process));
        self.is_ended = false;
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// It ended, or was not ready in time; its log is in the message.
    pub async fn ready(&mut self) {
        self.ready_within(START_PATIENCE).await;
    }

    /// See [`Service::ready`].
    ///
    /// # Panics
    /// It ended, or was not ready in time.
    pub async fn ready_within(&mut self, patience: Duration) {
        let url = self.url("/health/ready");
        let look = async || {
            if let Some(status) = self.exit_status() {
                panic!("{} ended with {status}\n{}", self.name, self.log_tail());
            }
            // Else another program's service would be tested, and written to.
            ensure!(
                self.process()?.listens_on(self.address.port()),
                "{} does not listen yet",
                self.name
            );
            match reqwest::get(&url).await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                Ok(_) => bail!("{} is not ready\n{}", self.name, self.log_tail()),
                Err(error) => bail!("{} is not ready: {error}", self.name),
            }
        };
        eventually(patience, look).await;
    }

    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.running.is_some() && self.exit_status().is_none()
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        let (child, _) = self.running.as_mut()?;
        child.try_wait().expect("one's own child can be asked")
    }

    /// How it ended although nobody has killed or stopped it.
    pub fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.exit_status()?;
        (!self.is_ended).then_some(status)
    }

    /// # Errors
    /// It has ended.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        ensure!(self.is_running(), "{} does not run", self.name);
        self.process()?.signal(signal)
    }

    /// Kills it with SIGKILL and waits until it has gone.
    ///
    /// # Errors
    /// It had ended already: the test did not kill what it meant to.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::KILL)?;
        self.ended_within(REAP_PATIENCE).await?;
        Ok(())
    }

    /// Asks it to stop with SIGTERM, and returns how it ended.
    ///
    /// # Errors
    /// It had ended already, or did not end within `patience`.
    pub async fn stop_within(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.end(Signal::TERM)?;
        self.ended_within(patience).await
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.note_peak()?;
        self.signal(signal)?;
        self.is_ended = true;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end within `patience`.
    pub async fn ended_within(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(status) = self.exit_status() {
                return Ok(status);
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "{} still runs after {patience:?}",
                self.name
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// # Errors
    /// It was never started.
    pub fn process(&self) -> anyhow::Result<ProcessId> {
        let (_, process) = self.running.as_ref().context("it was started")?;
        Ok(*process)
    }

    /// The most resident memory that any of its processes has had, each looked at before it was killed or stopped.
    ///
    /// # Errors
    /// It does not run.
    pub fn peak_resident_bytes(&mut self) -> anyhow::Result<u64> {
        self.note_peak()?;
        Ok(self.peak_resident_bytes)
    }

    /// What the kernel knows of a process goes with it.
    fn note_peak(&mut self) -> anyhow::Result<()> {
        ensure!(self.is_running(), "{} does not run", self.name);
        let peak = self.process()?.peak_resident_bytes()?;
        self.peak_resident_bytes = self.peak_resident_bytes.max(peak);
        Ok(())
    }

    /// What its `/metrics` say now.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::read(&self.url("/metrics")).await
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.place.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_tail(&self) -> String {
        place::log_tail(&self.place.join("log"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let Some((mut child, _)) = self.running.take() else {
            return;
        };
        // Not yet reaped, so the number is still its own.
        if child.kill().and_then(|()| child.wait()).is_err() {
            eprintln!("{} could not be killed", self.name);
        }
        // The harness shows this for a test that failed, and only then.
        place::tell_log(&self.place.join("log"));
    }
}
