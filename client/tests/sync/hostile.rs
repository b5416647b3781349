//! A server that breaks the protocol over a real WebSocket: the client ends each attempt with the
//! documented error, or calls again; it keeps what the app wrote, in bounded memory, and afterwards
//! an honest server gets all of it.

use super::peer::{Next, Tamper};
use super::support::{FOREVER, TestApp, TestServer, texts, write};
use super::tampering::{
    Case, Effect, POSITIONS, broken_off, encode, malformed, out_of_order, send,
};
use fastness::instance::SyncError;
use fastness_client::{SyncCallError, SyncEvent, SyncedFile};
use fastness_sync::frame::{Download, Identity, Message, Packet, Welcome};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Threads that run cases, most of which wait for the first delay of a session.
const THREADS: usize = 24;

/// Opens a file, plain or encrypted, whose server is held until `begin`.
struct Attacked {
    server: TestServer,
    app: TestApp,
    file: SyncedFile,
    events: Receiver<SyncEvent>,
    tampered: Receiver<()>,
}

impl Attacked {
    /// A server that sends the next frame of a type in another way.
    fn new(at: u8, tamper: Tamper, is_encrypted: bool) -> Self {
        let server = TestServer::new();
        let (sender, tampered) = channel();
        let sender = Mutex::new(sender);
        let reporting: Tamper = Arc::new(move |socket, bytes| {
            let next = tamper(socket, bytes);
            sender.lock().unwrap().send(()).unwrap_or_default();
            next
        });
        *server.state.tamper.lock().unwrap() = Some((at, reporting));
        server.state.is_holding.store(true, Ordering::SeqCst);
        let app = TestApp::new(&server);
        let builder = match is_encrypted {
            true => app.builder().encryption_key(&[9; 64]).unwrap(),
            false => app.builder(),
        };
        let file = app.sync.open_file(&builder.build().unwrap()).unwrap();
        let (sender, events) = channel();
        let sender = Mutex::new(sender);
        file.on_event(move |event| sender.lock().unwrap().send(event.clone()).unwrap_or_default());
        write(&file, 1, "kept");
        Self { server, app, file, events, tampered }
    }

    fn begin(&self) {
        self.server.state.is_holding.store(false, Ordering::SeqCst);
    }

    /// Waits for the first event that `wanted` takes.
    #[track_caller]
    fn wait<T>(&self, name: &str, wanted: impl Fn(&SyncEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(FOREVER);
            let event = event.unwrap_or_else(|_| panic!("{name}: the app learns nothing"));
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    /// The app writes, and an honest server gets everything.
    #[track_caller]
    fn recover(&self, name: &str) {
        write(&self.file, 2, "later");
        assert_eq!(texts(self.file.database()), ["kept", "later"], "{name}: the app's own writes");
        self.app.sync.reconnect();
        self.file.upload_all(FOREVER).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.file.download_all(FOREVER).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(self.server.texts(), ["kept", "later"], "{name}: at the server");
        assert_eq!(texts(self.file.database()), ["kept", "later"], "{name}: here");
        while let Ok(event) = self.events.try_recv() {
            assert_eq!(code_of(&event), None, "{name}: another error");
            assert!(!matches!(event, SyncEvent::Refused { .. }), "{name}: {event:?}");
        }
    }
}

fn code_of(event: &SyncEvent) -> Option<i64> {
    match event {
        SyncEvent::Failed(SyncError::Session { code, .. }) => Some(*code),
        _ => None,
    }
}

fn is_lost(event: &SyncEvent) -> Option<()> {
    matches!(event, SyncEvent::Waiting { .. } | SyncEvent::Connected(false)).then_some(())
}

fn endure(Case { name, at, tamper, effect }: &Case, is_encrypted: bool) {
    let attacked = Attacked::new(*at, Arc::clone(tamper), is_encrypted);
    match at {
        14 => {
            let waited = attacked.file.download_all(Duration::ZERO);
            assert_eq!(waited, Err(SyncCallError::TimedOut));
        }
        16 => attacked.file.simulate_reset().unwrap(),
        _ => {}
    }
    attacked.begin();
    let fired = attacked.tampered.recv_timeout(FOREVER);
    fired.unwrap_or_else(|_| panic!("{name}: the server has no such frame to send"));
    match effect {
        Effect::Code(code) => {
            assert_eq!(attacked.wait(name, code_of), i64::from(*code), "{name}");
        }
        Effect::Lost => attacked.wait(name, is_lost),
        Effect::Nothing => {}
    }
    attacked.recover(name);
}

/// Runs cases on threads, every other one on an encrypted file.
fn endure_all(cases: &[Case]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    endure(case, index % 2 == 1);
                }
            });
        }
    });
}

#[test]
fn frames_out_of_order_and_of_unknown_sessions() {
    let cases = out_of_order();
    assert!(cases.len() > 150, "{}", cases.len());
    endure_all(&cases);
}

#[test]
fn malformed_truncated_and_compressed_frames() {
    let cases = malformed();
    assert!(cases.len() > 80, "{}", cases.len());
    endure_all(&cases);
}

#[test]
fn messages_that_are_none_and_ends_in_the_middle() {
    let cases = broken_off();
    assert_eq!(cases.len(), 9 * POSITIONS.len());
    endure_all(&cases);
}

#[test]
fn the_identity_of_another_client_costs_a_reset_and_no_write() {
    for is_encrypted in [false, true] {
        let tamper: Tamper = Arc::new(|socket, bytes| {
            let session = Packet::open(&bytes).unwrap().session();
            let other = Identity { client: 77, client_salt: 5 };
            send(socket, encode(session, Message::Identity(other)));
            Next::Honest
        });
        let attacked = Attacked::new(6, tamper, is_encrypted);
        attacked.begin();
        let begun = |event: &SyncEvent| match event {
            SyncEvent::ResetBegun { code } => Some(*code),
            _ => None,
        };
        assert_eq!(attacked.wait("identity", begun), 208);
        attacked.recover("identity");
    }
}

#[test]
fn downloads_with_a_wrong_salt_are_a_reset_the_second_time() {
    for is_encrypted in [false, true] {
        let left = AtomicUsize::new(2);
        let tamper: Tamper = Arc::new(move |socket, bytes| {
            let packet = Packet::open(&bytes).unwrap();
            let frame = packet.frame().unwrap();
            let Message::Download(download) = frame.message else { panic!("a download") };
            let wrong = Download { salt: download.salt ^ 1, ..download };
            send(socket, encode(frame.session, Message::Download(wrong)));
            if left.fetch_sub(1, Ordering::Relaxed) > 1 { Next::Again } else { Next::Honest }
        });
        let attacked = Attacked::new(12, tamper, is_encrypted);
        attacked.begin();
        let begun = |event: &SyncEvent| match event {
            SyncEvent::ResetBegun { code } => Some(*code),
            _ => None,
        };
        assert_eq!(attacked.wait("salt", begun), 112);
        attacked.recover("salt");
    }
}

#[test]
fn a_server_from_the_end_of_time_leaves_the_clock_of_the_app_alone() {
    for now_ms in [0, 1 << 63, u64::MAX] {
        let tamper: Tamper = Arc::new(move |socket, bytes| {
            let packet = Packet::open(&bytes).unwrap();
            let Ok(Message::Welcome(right)) = packet.frame().map(|frame| frame.message) else {
                panic!("a WELCOME");
            };
            let window_bytes = 256 << 20;
            let welcome = Welcome { now_ms, window_bytes, ..right };
            send(socket, encode(0, Message::Welcome(welcome)));
            Next::Honest
        });
        let attacked = Attacked::new(2, tamper, true);
        attacked.begin();
        attacked.file.upload_all(FOREVER).unwrap();
        attacked.recover("a clock");
    }
}

#[test]
fn a_server_that_falls_silent_is_called_again() {
    for at in [2, 4, 6, 8, 10] {
        let attacked = Attacked::new(at, Arc::new(|_, _| Next::Silent), at > 4);
        attacked.server.state.ping_ms.store(1000, Ordering::SeqCst);
        attacked.begin();
        attacked.tampered.recv_timeout(FOREVER).unwrap();
        let waited = attacked.file.upload_all(Duration::from_millis(1));
        assert_eq!(waited, Err(SyncCallError::TimedOut), "{at}");
        if at <= 4 {
            // A step of the handshake takes half a minute, which machines wait for in virtual time.
            attacked.server.cut();
        }
        attacked.wait("silence", is_lost);
        attacked.recover("silence");
    }
}

/// Resident memory of this process, in MiB.
#[cfg(target_os = "linux")]
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// Sends a frame again and again while the app is in a transaction, and tells how much more memory
/// the process has then.
#[cfg(target_os = "linux")]
fn flood(name: &str, count: usize, frame: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) {
    let (sender, bound) = channel();
    let (hold, held) = channel();
    let (sent, is_sent) = channel();
    let ends = Mutex::new((sender, held, sent));
    let tamper: Tamper = Arc::new(move |socket, bytes| {
        let (bound, held, sent) = &*ends.lock().unwrap();
        bound.send(()).unwrap();
        held.recv_timeout(FOREVER).unwrap();
        let frame = frame(Packet::open(&bytes).unwrap().session());
        // The file cannot store its identity before the end of the transaction.
        send(socket, bytes);
        (0..count).for_each(|_| send(socket, frame.clone()));
        sent.send(()).unwrap();
        Next::Honest
    });
    let attacked = Attacked::new(6, tamper, true);
    let before = resident_mib();
    attacked.begin();
    bound.recv_timeout(FOREVER).unwrap();
    let txn = attacked.file.database().write().unwrap();
    hold.send(()).unwrap();
    is_sent.recv_timeout(FOREVER).unwrap();
    let more = resident_mib().saturating_sub(before);
    drop(txn);
    assert!(more < 200, "CS11: {name}: {more} MiB more");
    assert_eq!(attacked.wait(name, code_of), 109, "CS11: {name}");
    attacked.recover(name);
}

#[cfg(target_os = "linux")]
#[test]
fn frames_that_wait_for_a_busy_app_have_a_bounded_number_of_bytes() {
    let noise = || {
        let mut state = 1_u64;
        let next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(1 << 20).collect::<Vec<u8>>()
    };
    let entry = noise();
    flood("downloads", 500, move |session| encode(session, download(&entry)));
    let zeros = vec![0; 1 << 20];
    flood("bombs", 500, move |session| encode(session, download(&zeros)));
}

#[cfg(target_os = "linux")]
fn download(entry: &[u8]) -> Message<'_> {
    let items = vec![fastness_sync::frame::Item::Entry { client: 9, entry }];
    let (from, salt, head, horizon, durable_seq, bytes_left) = (0, 1, 1, 0, 0, 0);
    Message::Download(Download { from, salt, head, horizon, durable_seq, bytes_left, items })
}
