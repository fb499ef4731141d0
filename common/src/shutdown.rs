//! Stopping on request: the first SIGTERM or SIGINT cancels a token that every part of a service watches.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels. A second signal of either kind ends the process at once with the
/// shell's exit code for it: whoever asks twice does not want to wait for what is in flight.
///
/// # Errors
/// The system refused to install a handler.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let mut received = async || {
            tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 143),
                _ = interrupt.recv() => ("SIGINT", 130),
            }
        };
        let (name, _) = received().await;
        tracing::info!(signal = name, "stopping");
        stop.cancel();
        let (name, code) = received().await;
        tracing::warn!(signal = name, "asked twice: stopping without finishing");
        std::process::exit(code);
    });
    Ok(token)
}
