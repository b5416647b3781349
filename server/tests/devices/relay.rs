//! A relay between devices and a server: an address that stays when the server starts again, and
//! connections that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A relay.
pub(crate) struct Relay {
    state: Arc<RelayState>,
    address: SocketAddr,
}

struct RelayState {
    /// The server; none when the relay ends.
    target: Mutex<Option<SocketAddr>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub(crate) fn new(target: SocketAddr) -> Self {
        let target = Mutex::new(Some(target));
        let state = Arc::new(RelayState { target, streams: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(target) = *shared.target.lock().unwrap() else { return };
                // A server that is not there is a connection that ends at once.
                if let (Ok(near), Ok(far)) = (stream, TcpStream::connect(target)) {
                    shared.relay(&near, &far);
                }
            }
        });
        Self { state, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Relays to another server, and cuts the connections to the one before.
    pub(crate) fn set_target(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap() = Some(target);
        self.cut();
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

impl RelayState {
    fn relay(&self, near: &TcpStream, far: &TcpStream) {
        for (from, to) in [(near, far), (far, near)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            self.streams.lock().unwrap().push(from.try_clone().unwrap());
            thread::spawn(move || copy(from, to));
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16_384];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).unwrap_or_default();
}

impl Drop for Relay {
    fn drop(&mut self) {
        *self.state.target.lock().unwrap() = None;
        drop(TcpStream::connect(self.address));
        self.cut();
    }
}
