//! chromedriver as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::process::{ProcessId, Signal};
use crate::{place, ports, settings};

/// chromedriver with all that it started.
#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    process: ProcessId,
    pub(super) place: PathBuf,
    pub(super) address: SocketAddr,
}

impl Driver {
    pub(super) fn start() -> anyhow::Result<Self> {
        let (place, address) = (place::make("browser"), ports::free_address());
        let log = std::fs::File::create(place.join("log"))?;
        let program = settings::chromedriver();
        let child = Command::new(&program)
            .arg(format!("--port={}", address.port()))
            // Whatever the browser keeps, it keeps here. Its sockets' paths are limited to 108 bytes and a clone may lie
            // deep: this is the same directory by a short name.
            .current_dir(&place)
            .env("TMPDIR", "/proc/self/cwd")
            .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, &place)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "{}: install Chromium's driver, or name it in TALLY_CHROMEDRIVER",
                    program.display()
                )
            })?;
        let process = ProcessId::of(child.id())?;
        process.record(&place.join("pid"))?;
        Ok(Self {
            child,
            process,
            place,
            address,
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The driver first, so that it starts nothing in place of what goes.
        for process in self.process.tree() {
            // Some end by themselves as soon as their parent has.
            if process.signal(Signal::KILL).is_err() && process.is_alive() {
                eprintln!("a process of the browser could not be killed: {process:?}");
            }
        }
        if self.child.wait().is_err() {
            eprintln!("chromedriver could not be waited for");
        }
        eprintln!("{}", place::log_tail(&self.place.join("log")));
        // A profile is tens of megabytes.
        if let Err(error) = std::fs::remove_dir_all(&self.place) {
            eprintln!("{}: {error}", self.place.display());
        }
    }
}
