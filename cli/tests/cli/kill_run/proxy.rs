//! The proxy: an address that stays when the server starts again, and connections that it cuts,
//! delays and truncates.

use super::Draw;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    streams: Mutex<Vec<TcpStream>>,
    is_calm: AtomicBool,
    seeds: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) fn new(seed: u64) -> Self {
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            streams: Mutex::default(),
            is_calm: AtomicBool::new(false),
            seeds: AtomicU64::new(seed),
            cuts: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let target = *of_thread.target.lock().unwrap();
                // A server that is not there is a connection that ends at once.
                if let Some(far) = target.and_then(|target| TcpStream::connect(target).ok()) {
                    of_thread.relay(&near, &far);
                }
            }
        });
        Self { shared, address }
    }

    pub(crate) fn set_target(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = Some(target);
        self.cut();
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            if stream.shutdown(Shutdown::Both).is_ok() {
                self.shared.cuts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Relays everything from now on, or as much as before.
    pub(crate) fn set_calm(&self, is_calm: bool) {
        self.shared.is_calm.store(is_calm, Ordering::Relaxed);
    }

    /// Returns the number of streams that were cut or truncated.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn relay(self: &Arc<Self>, near: &TcpStream, far: &TcpStream) {
        for (from, to) in [(near, far), (far, near)] {
            let (Ok(from), Ok(to), Ok(held)) = (from.try_clone(), to.try_clone(), from.try_clone())
            else {
                return;
            };
            self.streams.lock().unwrap().push(held);
            let shared = Arc::clone(self);
            let draw = Draw::new(self.seeds.fetch_add(0x1234_5678_9abc, Ordering::Relaxed));
            thread::spawn(move || shared.copy(from, to, draw));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, mut draw: Draw) {
        let mut bytes = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let is_calm = self.is_calm.load(Ordering::Relaxed);
            match draw.below(300) {
                0 if !is_calm => {
                    let part = draw.below(count as u64);
                    to.write_all(&bytes[..usize::try_from(part).unwrap()]).unwrap_or_default();
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                1..=5 if !is_calm => thread::sleep(Duration::from_millis(draw.below(50))),
                _ => {}
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}
