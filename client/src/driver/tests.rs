//! Driver with a failing disk, and under a steady stream of messages.

use super::*;
use fastness::vfs::{Access, Lock, MemoryVfs, Vfs, VfsFile};
use fastness::{Store, StoreOptions};
use fastness_auth::users::Call;
use fastness_auth::{AuthUrl, Credentials, Method};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

/// Disk whose next write fails when it is marked full.
#[derive(Clone, Default, Debug)]
struct Full {
    vfs: MemoryVfs,
    is_full: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FullFile(Box<dyn VfsFile>, Arc<AtomicBool>);

impl Vfs for Full {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let file = self.vfs.open(path, access)?;
        Ok(Box::new(FullFile(file, Arc::clone(&self.is_full))))
    }
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.vfs.rename(source, target)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.vfs.remove(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.vfs.exists(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.vfs.sync_dir(path)
    }
}

impl VfsFile for FullFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.1.swap(false, Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.0.try_lock(lock)
    }
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}

/// Driver without a thread, and the other ends of its channels.
struct Bench {
    driver: Driver,
    requests: Receiver<(RequestId, Request)>,
    events: Receiver<Event>,
    messages: Sender<Message>,
}

impl Bench {
    fn new(store: Store, now: Time) -> Self {
        let (messages, taken) = channel();
        let (network, requests) = channel();
        let (events, heard) = channel();
        let driver = Driver {
            file: UserStore::open(store, now).unwrap().rotate_after(Duration::ZERO),
            messages: taken,
            network: Box::new(move |id, request| network.send((id, request)).unwrap_or_default()),
            events,
            waiting: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next: 0,
        };
        Self { driver, requests, events: heard, messages }
    }

    fn log_in(&mut self) -> UserId {
        let url = AuthUrl::for_login("http://h").unwrap();
        let call = Call::LogIn(url, Credentials::access_token("one", "me", false));
        let (reply, outcome) = channel();
        self.driver.handle_message(Message::Call(CallId(1), call, reply));
        let CallSuccess::LoggedIn(user) = outcome.recv().unwrap().unwrap() else {
            panic!("no user")
        };
        UserId::of(&user)
    }

    fn answer(&mut self, id: RequestId, body: &str) {
        let answer = HttpOutcome::new(200, body.as_bytes().to_vec());
        self.driver.handle_message(Message::Input(Input::Response(id, answer)));
    }
}

fn full_store() -> (Store, Arc<AtomicBool>) {
    let disk = Full::default();
    let is_full = Arc::clone(&disk.is_full);
    (StoreOptions::new().vfs(Arc::new(disk)).create("users").unwrap(), is_full)
}

#[test]
fn a_response_that_cannot_be_stored_is_requested_again() {
    let (store, is_full) = full_store();
    let mut bench = Bench::new(store, now());
    let user = bench.log_in();
    let (reply, _id) = channel();
    let open = Message::Open(user.clone(), "/~/x".to_owned(), Box::new(drop), reply);
    bench.driver.handle_message(open);
    let (exchange, request) = bench.requests.try_recv().unwrap();
    assert!(std::str::from_utf8(request.body()).unwrap().contains("rotate"));
    is_full.store(true, Ordering::SeqCst);
    let token = |value| {
        format!(
            r#"{{"token": "{value}", "token_data":
            {{"identity": "me", "expires": 99999999999, "access": []}}}}"#
        )
    };
    let body = format!(r#"{{"access_token": {}, "refresh_token": {}}}"#, token("a"), token("two"));
    bench.answer(exchange, &body);
    assert!(bench.events.try_iter().any(|notice| matches!(notice, Event::StoreFailed(_))));
    assert!(bench.driver.file.deadline().is_some(), "the session will ask again");

    bench.driver.apply(Input::LogOut(user)).unwrap();
    let (revocation, request) = bench.requests.try_recv().unwrap();
    assert_eq!((request.method(), request.body()), (Method::Post, &br#"{"token":"one"}"#[..]));
    is_full.store(true, Ordering::SeqCst);
    bench.answer(revocation, "");
    assert!(bench.driver.file.deadline().is_some(), "and so will the revocation");
    assert_eq!(bench.driver.file.users().persisted().revocations().count(), 1);
}

#[test]
fn a_stream_of_messages_does_not_delay_due_work() {
    let store = StoreOptions::new().in_memory().unwrap();
    let mut bench = Bench::new(store.clone(), now());
    let user = bench.log_in();
    bench.driver.apply(Input::LogOut(user)).unwrap();
    drop(bench);
    // An earlier process has left a revocation, and messages keep arriving.
    let Bench { driver, requests, messages, .. } = Bench::new(store, now());
    for _ in 0..100 {
        messages.send(Message::Users(channel().0)).unwrap();
    }
    messages.send(Message::Stop).unwrap();
    driver.run();
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_login_that_the_server_has_ended_is_logged_out() {
    for (code, is_ended) in [(615, true), (614, false)] {
        let mut bench = Bench::new(StoreOptions::new().in_memory().unwrap(), now());
        let user = bench.log_in();
        let (sender, heard) = channel();
        let (reply, _id) = channel();
        let events = Box::new(move |event| sender.send(event).unwrap_or_default());
        bench.driver.handle_message(Message::Open(user.clone(), "/~/x".into(), events, reply));
        let (id, _) = bench.requests.try_recv().unwrap();
        let answer = HttpOutcome::new(401, format!(r#"{{"code": {code}}}"#).into_bytes());
        bench.driver.handle_message(Message::Input(Input::Response(id, answer)));
        let Ok(SessionEvent::Failed(error)) = heard.try_recv() else { panic!("no failure") };
        assert_eq!(error.code().number(), code);
        assert_eq!(heard.try_recv() == Ok(SessionEvent::Parked), is_ended, "Z5: {code}");
        let has_ended = |event: &Event| *event == Event::LoginEnded(user.clone(), error.clone());
        assert_eq!(bench.events.try_iter().any(|event| has_ended(&event)), is_ended, "Z5: {code}");
        assert_eq!(bench.driver.file.users().valid(now()).next().is_none(), is_ended, "Z5: {code}");
    }
}

#[test]
fn a_session_that_waits_for_a_token_says_why() {
    let mut bench = Bench::new(StoreOptions::new().in_memory().unwrap(), now());
    let user = bench.log_in();
    let (sender, heard) = channel();
    let (reply, _id) = channel();
    let events = Box::new(move |event| sender.send(event).unwrap_or_default());
    bench.driver.handle_message(Message::Open(user, "/~/x".into(), events, reply));
    let (id, _) = bench.requests.try_recv().unwrap();
    let lost = HttpOutcome::failed(NetworkError::Refused);
    bench.driver.handle_message(Message::Input(Input::Response(id, lost)));
    let Ok(SessionEvent::Waiting(error)) = heard.try_recv() else { panic!("U11: in silence") };
    assert!(error.is_retryable() && heard.try_recv().is_err());
}
