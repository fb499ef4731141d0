//! A TCP proxy in the test's process, in front of one server: it passes, cuts, holds and refuses, and can lose exactly the
//! answer that matters, or stop a client at exactly the byte that does. It knows nothing of the protocol but bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// How long the server may take to answer what a [`Loss::AfterTheAnswer`] waits for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// A proxy on a free loopback port. Dropping it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::AbortHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Hold,
    Refuse,
}

/// When a connection is cut on which the awaited bytes were seen; its client never gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// As soon as the request was handed on: the server may still be working on it.
    BeforeTheAnswer,
    /// Once the server has answered: what was asked is done for certain.
    AfterTheAnswer,
}

/// What becomes of a connection on which the awaited bytes were seen.
#[derive(Debug, Clone, Copy)]
enum Catch {
    Lose(Loss),
    Hold,
}

#[derive(Debug)]
struct Trap {
    bytes: Vec<u8>,
    catch: Catch,
    left: u32,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    /// Of the connections that are open: replaced with each cut.
    alive: Mutex<CancellationToken>,
    trap: Mutex<Option<Trap>>,
    sprung: watch::Sender<u32>,
    /// Connections that a [`Catch::Hold`] has stopped so far.
    held: watch::Sender<u32>,
    /// Grows with each [`Proxy::pass`], which they wait for.
    passes: watch::Sender<u32>,
    accepted: AtomicU64,
}

impl Proxy {
    /// # Panics
    /// No loopback port is free.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            target,
            mode: watch::Sender::new(Mode::Pass),
            alive: Mutex::default(),
            trap: Mutex::default(),
            sprung: watch::Sender::new(0),
            held: watch::Sender::new(0),
            passes: watch::Sender::new(0),
            accepted: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            shared,
            accepting,
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Everything flows, also what was held.
    pub fn pass(&self) {
        self.shared.mode.send_replace(Mode::Pass);
        self.shared.passes.send_modify(|count| *count += 1);
    }

    /// Nothing flows and nobody is told: a black hole. New connections are taken.
    pub fn hold(&self) {
        self.shared.mode.send_replace(Mode::Hold);
    }

    /// Cuts every connection that is open; new ones pass.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts every connection and takes no new one, until [`Proxy::pass`].
    pub fn refuse(&self) {
        self.shared.mode.send_replace(Mode::Refuse);
        self.shared.cut();
    }

    /// The next `times` that a client sends `bytes`, its connection is cut so that the answer is lost.
    pub fn lose_answer_to(&self, bytes: &[u8], loss: Loss, times: u32) {
        self.set_trap(bytes, Catch::Lose(loss), times);
    }

    /// The next `times` that a client sends `bytes`, what it sent before them reaches the server, and neither they nor
    /// anything after them on that connection does until [`Proxy::pass`]. It ends when the client ends it.
    pub fn hold_at(&self, bytes: &[u8], times: u32) {
        self.set_trap(bytes, Catch::Hold, times);
    }

    fn set_trap(&self, bytes: &[u8], catch: Catch, times: u32) {
        assert!(
            !bytes.is_empty() && times > 0,
            "there is something to wait for"
        );
        *lock(&self.shared.trap) = Some(Trap {
            bytes: bytes.to_vec(),
            catch,
            left: times,
        });
    }

    /// No more answers are lost.
    pub fn disarm(&self) {
        *lock(&self.shared.trap) = None;
    }

    /// Waits until `times` connections in all have been stopped by [`Proxy::hold_at`].
    ///
    /// # Panics
    /// The proxy was dropped.
    pub async fn held(&self, times: u32) {
        let mut held = self.shared.held.subscribe();
        held.wait_for(|count| *count >= times)
            .await
            .expect("the proxy holds the sender");
    }

    /// Answers lost so far.
    #[must_use]
    pub fn lost(&self) -> u32 {
        *self.shared.sprung.borrow()
    }

    /// Waits until `times` answers have been lost in all.
    ///
    /// # Panics
    /// The proxy was dropped.
    pub async fn answers_lost(&self, times: u32) {
        let mut sprung = self.shared.sprung.subscribe();
        sprung
            .wait_for(|count| *count >= times)
            .await
            .expect("the proxy holds the sender");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.cut();
    }
}

impl Shared {
    fn cut(&self) {
        std::mem::take(&mut *lock(&self.alive)).cancel();
    }

    /// Whether the trap springs at `sent`, the end of what a client has sent so far, and where in it the bytes begin.
    fn springs(&self, sent: &[u8]) -> Option<(Catch, usize)> {
        let mut trap = lock(&self.trap);
        let set = trap.as_mut()?;
        let at = sent
            .windows(set.bytes.len())
            .position(|window| window == set.bytes)?;
        let catch = set.catch;
        set.left -= 1;
        if set.left == 0 {
            *trap = None;
        }
        Some((catch, at))
    }

    /// How much of what was sent before has to be looked at again: the bytes may arrive in two parts.
    fn overlap(&self) -> usize {
        lock(&self.trap)
            .as_ref()
            .map_or(0, |trap| trap.bytes.len() - 1)
    }
}

/// One client's connection and the server's end of it.
struct Link {
    shared: Arc<Shared>,
    alive: CancellationToken,
    /// The trap has sprung: nothing the server says reaches the client any more.
    mute: AtomicBool,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        if *shared.mode.borrow() == Mode::Refuse {
            continue;
        }
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let alive = lock(&shared.alive).child_token();
        let link = Link {
            shared: Arc::clone(&shared),
            alive,
            mute: AtomicBool::new(false),
        };
        tokio::spawn(serve(link, client));
    }
}

async fn serve(link: Link, client: TcpStream) {
    let alive = link.alive.clone();
    let passing = async {
        let Ok(server) = TcpStream::connect(link.shared.target).await else {
            return;
        };
        if client
            .set_nodelay(true)
            .and_then(|()| server.set_nodelay(true))
            .is_err()
        {
            return;
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Either side's end is the end of both: a database connection is never half open.
        tokio::select! {
            () = requests(&link, from_client, to_server) => {}
            () = answers(&link, from_server, to_client) => {}
        }
    };
    tokio::select! {
        biased;
        () = alive.cancelled() => {}
        () = passing => {}
    }
}

async fn requests(link: &Link, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) {
    let mut buffer = vec![0; CHUNK];
    // The end of what was sent before, then what came now.
    let mut seen: Vec<u8> = Vec::new();
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        flowing(link).await;
        let keep = link.shared.overlap().min(seen.len());
        seen.drain(..seen.len() - keep);
        seen.extend_from_slice(&buffer[..length]);
        let sprung = link.shared.springs(&seen);
        if let Some((Catch::Lose(_), _)) = sprung {
            // Before the request goes on, or the answer could overtake.
            link.mute.store(true, Ordering::SeqCst);
        }
        let mut rest = &buffer[..length];
        if let Some((Catch::Hold, at)) = sprung {
            let (before, held) = rest.split_at(at.saturating_sub(keep));
            if server.write_all(before).await.is_err() || !link.hold(&client).await {
                return;
            }
            rest = held;
        }
        if server.write_all(rest).await.is_err() {
            return;
        }
        match sprung {
            None | Some((Catch::Hold, _)) => {}
            Some((Catch::Lose(Loss::BeforeTheAnswer), _)) => return link.spring(),
            // The other direction ends the connection when the answer is there.
            Some((Catch::Lose(Loss::AfterTheAnswer), _)) => {
                return tokio::time::sleep(ANSWER_PATIENCE).await;
            }
        }
    }
}

async fn answers(link: &Link, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        if link.mute.load(Ordering::SeqCst) {
            return link.spring();
        }
        flowing(link).await;
        if client.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

impl Link {
    fn spring(&self) {
        self.shared.sprung.send_modify(|count| *count += 1);
    }

    /// Stands still until the proxy passes; false if the client has gone by then.
    async fn hold(&self, client: &OwnedReadHalf) -> bool {
        let mut passes = self.shared.passes.subscribe();
        passes.mark_unchanged();
        self.shared.held.send_modify(|count| *count += 1);
        tokio::select! {
            passed = passes.changed() => passed.is_ok(),
            () = gone(client) => false,
        }
    }
}

/// Waits until the other side has closed the connection, with whatever it sent before still unread.
async fn gone(client: &OwnedReadHalf) {
    const LOOK: Duration = Duration::from_millis(10);
    loop {
        match client.ready(Interest::READABLE | Interest::ERROR).await {
            Ok(ready) if !ready.is_read_closed() && !ready.is_error() => {}
            Ok(_) | Err(_) => return,
        }
        // What is unread makes it ready at once.
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits while the proxy holds.
async fn flowing(link: &Link) {
    let mut mode = link.shared.mode.subscribe();
    // The sender lives in what we borrow: this ends with the mode alone.
    if mode.wait_for(|mode| *mode != Mode::Hold).await.is_err() {
        link.alive.cancel();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
