//! Signals of the process: Ctrl-C and SIGTERM stop the server, SIGHUP reads its certificate again.

use std::io;
use tokio::runtime::Runtime;

/// Signals that a server waits for, registered before the wait begins.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 3],
}

#[cfg(unix)]
impl Signals {
    /// Registers the signals. From then on they no longer end the process.
    pub(crate) fn register(runtime: &Runtime) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let _entered = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { streams: [interrupt?, terminate?, hangup?] })
    }

    /// Waits for a signal that stops the server; SIGHUP calls `reload`.
    pub(crate) async fn stopped(&mut self, reload: impl Fn()) {
        let [interrupt, terminate, hangup] = &mut self.streams;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hangup.recv() => reload(),
            }
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn register(_: &Runtime) -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn stopped(&mut self, _: impl Fn()) {
        // Without a handler the process runs until it is ended.
        tokio::signal::ctrl_c().await.unwrap_or_default();
    }
}
