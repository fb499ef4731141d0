//! chromedriver as a process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::process::{ProcessId, Signal};
use crate::{place, ports, settings};

/// For a browser to end when it is asked to.
const END_PATIENCE: Duration = Duration::from_secs(10);

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

impl Driver {
    /// Ends a session without a runtime, as dropping must: the answer comes when the browser has gone.
    pub(super) fn end(&self, session: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(END_PATIENCE))?;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )?;
        // The driver keeps the connection: the answer's first bytes are all there is to wait for.
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..length]);
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
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
        place::tell_log(&self.place.join("log"));
        // A profile is tens of megabytes.
        if let Err(error) = std::fs::remove_dir_all(&self.place) {
            eprintln!("{}: {error}", self.place.display());
        }
    }
}
