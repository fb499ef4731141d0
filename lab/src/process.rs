//! Processes by more than their number: ids are reused, an id with its start time is not. Linux's `/proc` tells both.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// One process, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    id: i32,
    /// Clock ticks after boot, as the kernel counts them.
    started: u64,
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
    /// Of CPU time.
    ticks: u64,
}

impl ProcessId {
    /// The process that has this id now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let id = i32::try_from(id)?;
        let stat = Stat::read(id).with_context(|| format!("there is no process {id}"))?;
        Ok(Self {
            id,
            started: stat.started,
        })
    }

    /// The number alone, as others know the process.
    #[must_use]
    pub fn number(self) -> i32 {
        self.id
    }

    /// Reads a record as `scripts/servers/ctl` writes it: the id and the start time.
    ///
    /// # Errors
    /// There is no such file, or it holds something else.
    pub fn recorded(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let (id, started) = text
            .trim()
            .split_once(' ')
            .context("an id and a start time")?;
        Ok(Self {
            id: id.parse()?,
            started: started.parse()?,
        })
    }

    /// Writes such a record, by which `scripts/test` finds what a test that was cut short has left.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, format!("{} {}\n", self.id, self.started))
            .with_context(|| file.display().to_string())
    }

    /// A zombie is dead: who has to reap it may be anyone.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Stat::read(self.id)
            .is_some_and(|stat| stat.started == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends a signal if the process still is the one that was meant.
    ///
    /// # Errors
    /// It has ended, or is not ours to signal.
    pub fn signal(self, signal: Signal) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_alive(), "process {} has ended", self.id);
        let id = Pid::from_raw(self.id).context("a process id is positive")?;
        kill_process(id, signal)
            .with_context(|| format!("signal {signal:?} to process {}", self.id))
    }

    /// This process and all that descend from it, parents first.
    #[must_use]
    pub fn tree(self) -> Vec<Self> {
        let processes: Vec<(Self, i32)> = numbers_in_proc()
            .filter_map(|id| {
                Stat::read(id).map(|stat| {
                    (
                        Self {
                            id,
                            started: stat.started,
                        },
                        stat.parent,
                    )
                })
            })
            .collect();
        let mut tree = vec![self];
        let mut next = 0;
        while let Some(parent) = tree.get(next).copied() {
            tree.extend(
                processes
                    .iter()
                    .filter(|(_, of)| *of == parent.id)
                    .map(|(child, _)| *child),
            );
            next += 1;
        }
        tree
    }

    /// Whether it is this process that listens on `port` of any IPv4 address, and not another that was there first.
    #[must_use]
    pub fn listens_on(self, port: u16) -> bool {
        let sockets = listening_inodes(port);
        let open = fs::read_dir(format!("/proc/{}/fd", self.id))
            .into_iter()
            .flatten()
            .flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| {
                sockets
                    .iter()
                    .any(|inode| target.as_os_str() == inode.as_str())
            })
    }

    /// Resident memory now.
    ///
    /// # Errors
    /// The process has ended.
    pub fn resident_bytes(self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory it has had since it began.
    ///
    /// # Errors
    /// The process has ended.
    pub fn peak_resident_bytes(self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    /// What its threads have computed since it began, for it and in the kernel.
    ///
    /// # Errors
    /// The process has ended.
    pub fn cpu_time(self) -> anyhow::Result<Duration> {
        anyhow::ensure!(self.is_alive(), "process {} has ended", self.id);
        let stat = Stat::read(self.id).context("it has ended meanwhile")?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(stat.ticks * 1_000 / ticks_per_second))
    }

    fn memory(self, name: &'static str) -> anyhow::Result<u64> {
        anyhow::ensure!(self.is_alive(), "process {} has ended", self.id);
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .context(name)?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Stat {
    /// Fields 3, 4, 14, 15 and 22 of the stat line; the name before them may hold anything, parentheses too.
    fn read(id: i32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (_, fields) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: number(19)?,
            ticks: number(11)? + number(12)?,
        })
    }
}

/// The sockets that listen on a port, as `/proc/PID/fd` names them.
fn listening_inodes(port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.split_once(':')?;
        let listens = *fields.get(3)? == LISTEN && local_port == format!("{port:04X}");
        listens
            .then(|| Some(format!("socket:[{}]", fields.get(9)?)))
            .flatten()
    };
    table.lines().filter_map(inode).collect()
}

fn numbers_in_proc() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_was_killed_and_its_tree_holds_its_children() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.is_alive());
        while process.tree().len() < 2 {
            std::thread::yield_now();
        }
        let tree = process.tree();
        for member in &tree {
            member.signal(Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        while tree.iter().any(|member| member.is_alive()) {
            std::thread::yield_now();
        }
        assert!(process.signal(Signal::TERM).is_err());
    }

    #[test]
    fn who_listens_on_a_port_is_known() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.listens_on(port));
        drop(listener);
        assert!(!me.listens_on(port));
    }

    #[test]
    fn another_process_with_the_same_number_is_not_meant() {
        let me = ProcessId::of(std::process::id()).unwrap();
        let before_me = ProcessId {
            started: me.started - 1,
            ..me
        };
        assert!(me.is_alive());
        assert!(!before_me.is_alive());
    }
}
