//! Proxies, root certificates, and what a device finds at its first opening.

use super::support::{Device, add, rows_of};
use crate::login::support::{FOREVER, Host};
use fastness::{Error, FileErrorCause};
use fastness_client::{Proxy, SyncCallError, SyncEvent, SyncedFile};
use std::fs;
use std::io::{Read as _, Write as _};
use std::iter;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy that connects to whom it is asked for.
struct TunnelProxy {
    state: Arc<TunnelState>,
    address: SocketAddr,
}

#[derive(Default)]
struct TunnelState {
    is_refusing: AtomicBool,
    /// The requests, and the connections.
    heads: Mutex<Vec<String>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl TunnelProxy {
    fn new() -> Self {
        let state = Arc::new(TunnelState::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { state, address }
    }

    /// Cuts all connections, and refuses others.
    fn refuse(&self) {
        self.state.is_refusing.store(true, Ordering::SeqCst);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

impl TunnelState {
    fn serve(&self, mut client: TcpStream) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if client.read(&mut byte).unwrap_or_default() == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        self.heads.lock().unwrap().push(head);
        if self.is_refusing.load(Ordering::SeqCst) {
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
            return client.write_all(answer).unwrap_or_default();
        }
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        self.streams.lock().unwrap().push(client.try_clone().unwrap());
        let (mut there, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            std::io::copy(&mut there, &mut back).unwrap_or_default();
            back.shutdown(Shutdown::Both).unwrap_or_default();
        });
        std::io::copy(&mut server, &mut client).unwrap_or_default();
        client.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// The reasons for which a file waits.
fn reasons(file: &SyncedFile) -> Receiver<String> {
    let (sender, reasons) = channel();
    file.on_event(move |event| {
        if let SyncEvent::Waiting { because } = event {
            sender.send(because.clone()).unwrap_or_default();
        }
    });
    reasons
}

#[test]
fn a_device_behind_a_proxy_synchronizes() {
    let host = Host::with_tls();
    let proxy = TunnelProxy::new();
    let client = Device::client_of(&host, |config| {
        config.proxy = Proxy::Url(format!("http://me:hunter3@{}", proxy.address));
    });
    let device = Device::with(&host.server.url(), client, ("alice", true));
    let file = device.open();
    add(&file, "through the proxy");
    file.upload_all(FOREVER).unwrap();
    let other_device = Device::log_in(&host, "alice");
    let other = other_device.open();
    other.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(other.database()), ["through the proxy"]);
    let port = format!(":{} HTTP", host.server.address().port());
    let heads = proxy.state.heads.lock().unwrap().clone();
    assert!(heads.len() >= 2, "the login and the files: {heads:?}");
    for head in heads {
        assert!(head.starts_with("CONNECT ") && head.contains(&port), "{head}");
        // me:hunter3
        assert!(head.to_lowercase().contains("proxy-authorization: basic bwu6"), "{head}");
    }
    let reasons = reasons(&file);
    proxy.refuse();
    // A connection that ends in the middle of a message is another reason, and may come first.
    let refused = iter::from_fn(|| reasons.recv_timeout(FOREVER).ok())
        .find(|reason| reason.contains("the proxy refuses"));
    assert!(refused.unwrap().contains("407"));
}

#[test]
fn a_file_takes_its_server_under_its_own_root_and_no_other() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let open = |root: &str| {
        let name = format!("{root}.realm");
        let builder = device.builder().name(&name).unwrap().trusted_root(root).unwrap();
        device.sync.open_file(&builder.build().unwrap()).unwrap()
    };
    let own = open("root.pem");
    add(&own, "Foo");
    own.upload_all(FOREVER).unwrap();
    let other = open("other-root.pem");
    let reason = reasons(&other).recv_timeout(FOREVER).unwrap();
    assert!(reason.contains("certificate"), "{reason}");
    assert!(!other.is_connected() && rows_of(other.database()).is_empty());
}

#[test]
fn an_incompatible_file_is_moved_and_downloaded_again() {
    let host = Host::with_tls();
    let writing = Device::register(&host, "alice");
    let writer = writing.open();
    add(&writer, "Foo");
    writer.upload_all(FOREVER).unwrap();
    let device = Device::log_in(&host, "alice");
    let configuration = device.configuration();
    let old = [&[0; 16][..], b"T-DB", &[0; 4076]].concat();
    fs::write(configuration.path(), &old).unwrap();
    let Err(SyncCallError::File(Error::File { cause, .. })) = device.sync.open_file(&configuration)
    else {
        panic!("the file is no incompatible one");
    };
    let FileErrorCause::IncompatibleSync { moved_to } = cause else { panic!("{cause:?}") };
    assert_eq!(fs::read(moved_to).unwrap(), old, "R5");
    let file = device.open();
    file.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(file.database()), ["Foo"]);
}

#[test]
fn a_first_opening_waits_for_the_data_of_the_server() {
    let host = Host::with_tls();
    let writing = Device::register(&host, "alice");
    let writer = writing.open();
    (0..10).for_each(|number| add(&writer, &number.to_string()));
    writer.upload_all(FOREVER).unwrap();
    let device = Device::log_in(&host, "alice");
    let configuration = device.builder().wait_for_initial_data().build().unwrap();
    let file = device.sync.open_file(&configuration).unwrap();
    assert_eq!(rows_of(file.database()).len(), 10);
}
