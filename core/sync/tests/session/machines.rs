//! Single situations of each machine, frame by frame.

use fastness_sync::frame::{
    Ack, Action, Auth, AuthOk, Bind, Code, Compression, Credit, Download, Failed, Frame, Hello,
    Identity, Item, Mark, Message, Packet, Ping, Pong, Progress, Resume, Resumed, SnapshotPart,
    Welcome,
};
use fastness_sync::session::{
    ClientConnection, ClientConnectionInput, ClientConnectionOutput, ClientInput, ClientOutput,
    ClientSession, ConnectionTerms, FileState, ServerConnection, ServerConnectionInput,
    ServerConnectionOutput, ServerInput, ServerOutput, ServerSession,
};

const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };
pub(super) const STATE: FileState = FileState {
    client: 7,
    client_salt: 70,
    epoch: 5,
    cursor: 10,
    cursor_salt: 3,
    last_client_seq: 4,
    chain_hash: 44,
    oldest_base: 10,
    durable_client_seq: 4,
};
pub(super) const RESUMED: Resumed =
    Resumed { epoch: 5, head: 10, horizon: 2, durable_seq: 10, last_client_seq: 4, chain_hash: 44 };

pub(super) fn encode(session: u32, message: Message<'_>) -> Vec<u8> {
    Frame::new(session, message).encode(Compression::Auto).unwrap()
}

pub(super) fn failed(code: Code, retry_after_ms: u64) -> Message<'static> {
    let action = code.action();
    Message::Failed(Failed { code, action, retry_after_ms, message: "", log_reference: "" })
}

/// A client's connection after some inputs; frames that it sends, and other outputs as text.
pub(super) struct Connection(pub(super) ClientConnection);

impl Connection {
    pub(super) fn handle(&mut self, now: u64, input: ClientConnectionInput<'_>) -> Vec<String> {
        let mut out = Vec::new();
        self.0.handle(now, input, &mut out);
        out.iter().map(describe).collect()
    }

    pub(super) fn receive(&mut self, now: u64, message: Message<'_>) -> Vec<String> {
        self.handle(now, ClientConnectionInput::Received(&encode(0, message)))
    }

    /// A connection that is online at 1000 ms, with a token that expires after ten minutes.
    pub(super) fn online() -> Self {
        let mut client = Self(ClientConnection::new("test", 1));
        assert_eq!(client.handle(1000, ClientConnectionInput::Token("t")), [""; 0]);
        assert_eq!(client.handle(1000, ClientConnectionInput::Tick), ["Connect"]);
        assert_eq!(client.handle(1000, ClientConnectionInput::Connected), ["Send 1"]);
        assert_eq!(client.receive(1000, welcome()), ["Send 3"]);
        assert_eq!(client.receive(1000, accepted(601_000)), ["Online"]);
        client
    }
}

fn describe(output: &ClientConnectionOutput<'_>) -> String {
    match output {
        ClientConnectionOutput::Send(bytes) => format!("Send {}", bytes[0]),
        ClientConnectionOutput::Report(report) => format!("Report {}", report.code.0),
        ClientConnectionOutput::LogOut(code) => format!("LogOut {}", code.0),
        ClientConnectionOutput::Connect
        | ClientConnectionOutput::Close
        | ClientConnectionOutput::RefreshToken
        | ClientConnectionOutput::Online { .. }
        | ClientConnectionOutput::Offline
        | ClientConnectionOutput::Deliver(_) => first_word(output),
    }
}

/// The name of an output's variant.
fn first_word(output: &impl std::fmt::Debug) -> String {
    let text = format!("{output:?}");
    let end = text.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

pub(super) fn welcome() -> Message<'static> {
    Message::Welcome(Welcome {
        version: 1,
        features: 0,
        now_ms: 1000,
        window_bytes: 1 << 20,
        ping_ms: 30_000,
        connection: 9,
    })
}

pub(super) fn accepted(expires_at_ms: u64) -> Message<'static> {
    Message::AuthOk(AuthOk { user: "u", expires_at_ms })
}

#[test]
fn a_token_is_replaced_before_it_expires_and_the_sessions_continue() {
    let mut client = Connection::online();
    assert_eq!(client.handle(541_000, ClientConnectionInput::Tick).last().unwrap(), "Close");
    let mut client = Connection::online();
    let now = loop {
        let now = client.0.deadline().unwrap();
        let outputs = client.handle(now, ClientConnectionInput::Tick);
        client.receive(now, Message::Pong(Pong { now_ms: now }));
        if outputs.contains(&"RefreshToken".to_owned()) {
            break now;
        }
        assert_eq!(outputs, ["Send 20"], "a PING each interval");
    };
    assert_eq!(now, 541_000, "a minute before the token expires");
    assert_eq!(client.handle(now, ClientConnectionInput::Token("next")), ["Send 3"]);
    assert_eq!(client.receive(now, accepted(now + 600_000)), [""; 0], "online all the time");
}

#[test]
fn a_silent_connection_is_closed_after_two_intervals() {
    let mut client = Connection::online();
    assert_eq!(client.handle(31_000, ClientConnectionInput::Tick), ["Send 20"]);
    assert_eq!(client.handle(60_999, ClientConnectionInput::Tick), [""; 0]);
    assert_eq!(client.handle(61_000, ClientConnectionInput::Tick), ["Offline", "Close"]);
    let retry = client.0.deadline().unwrap();
    assert!((61_750..=62_000).contains(&retry), "{retry}");
    let mut server = ServerConnection::new(0, TERMS);
    let mut out = Vec::new();
    let hello = Hello { version_min: 1, version_max: 9, features: 3, now_ms: 0, library: "" };
    let hello = encode(0, Message::Hello(hello));
    server.handle(0, ServerConnectionInput::Received(&hello), &mut out);
    let auth = encode(0, Message::Auth(Auth { token: "t" }));
    server.handle(0, ServerConnectionInput::Received(&auth), &mut out);
    let [_, ServerConnectionOutput::Authenticate { ticket, .. }] = out[..] else { panic!() };
    let expires_at_ms = 1_000_000;
    let input = ServerConnectionInput::Authenticated { ticket, user: "u", expires_at_ms };
    server.handle(0, input, &mut Vec::new());
    assert_eq!(server.deadline(), Some(60_000));
    let ping = encode(0, Message::Ping(Ping { now_ms: 5, round_trip_ms: 0 }));
    server.handle(30_000, ServerConnectionInput::Received(&ping), &mut Vec::new());
    assert_eq!(server.deadline(), Some(90_000));
    let mut out = Vec::new();
    server.handle(90_000, ServerConnectionInput::Tick, &mut out);
    assert!(matches!(out[..], [_, ServerConnectionOutput::Close]) && server.deadline().is_none());
}

#[test]
fn a_second_refusal_of_a_token_logs_out() {
    let mut client = Connection::online();
    let refused = || failed(Code::TOKEN_EXPIRED, 0);
    assert_eq!(client.receive(2000, refused()), ["Offline", "Close", "RefreshToken"]);
    assert_eq!(client.0.deadline(), None, "without a token it does not connect");
    client.handle(3000, ClientConnectionInput::Token("next"));
    assert_eq!(client.handle(3000, ClientConnectionInput::Tick), ["Connect"]);
    client.handle(3000, ClientConnectionInput::Connected);
    client.receive(3000, welcome());
    assert_eq!(client.receive(3000, failed(Code::BAD_TOKEN, 0)), ["Close", "LogOut 203"]);
}

#[test]
fn actions_of_connection_errors_are_those_of_the_document() {
    for code in Code::ALL.iter().copied().chain([Code(999)]) {
        let mut client = Connection::online();
        let outputs = client.receive(2000, failed(code, 9000));
        let report = format!("Report {}", code.0);
        match code.action() {
            Action::RefreshToken => assert_eq!(outputs, ["Offline", "Close", "RefreshToken"]),
            Action::Retry | Action::Resume => {
                assert_eq!(outputs, ["Offline", "Close"]);
                assert_eq!(client.0.deadline(), Some(11_000), "retry after");
            }
            Action::NewIdentity | Action::Reset | Action::Stop => {
                assert_eq!(outputs, [&report, "Offline", "Close"]);
                assert!(client.0.deadline() >= Some(2000 + 225_000), "the longest backoff");
            }
        }
    }
}

/// A session and its outputs.
pub(super) struct Session(pub(super) ClientSession);

impl Session {
    pub(super) fn handle<'a>(&mut self, now: u64, input: ClientInput<'a>) -> Vec<ClientOutput<'a>> {
        let mut out = Vec::new();
        self.0.handle(now, input, &mut out);
        out
    }

    /// Receives a frame; returns frames that it sends by their types, and other outputs by name.
    pub(super) fn receive(&mut self, now: u64, message: Message<'_>) -> Vec<String> {
        let bytes = encode(self.0.number(), message);
        let packet = Packet::open(&bytes).unwrap();
        self.names(now, ClientInput::Received(&packet))
    }

    pub(super) fn names(&mut self, now: u64, input: ClientInput<'_>) -> Vec<String> {
        let name = |output: &ClientOutput<'_>| {
            if let ClientOutput::Send(bytes) = output {
                format!("Send {}", bytes[0])
            } else if let ClientOutput::Reset(code) = output {
                format!("Reset {}", code.0)
            } else {
                first_word(output)
            }
        };
        self.handle(now, input).iter().map(name).collect()
    }

    /// Binds under the next number and answers with this state.
    pub(super) fn resume(&mut self, now: u64, number: u32, state: FileState) -> Vec<String> {
        let outputs = self.handle(now, ClientInput::Number(number));
        let [ClientOutput::ReadState { ticket }] = outputs[..] else { panic!("{outputs:?}") };
        self.names(now, ClientInput::State { ticket, state })
    }

    /// A session that is live at 1000 ms.
    pub(super) fn live() -> Self {
        let mut session = Self(ClientSession::new("/notes", 1, 1));
        let online = ClientInput::Online { window_bytes: 1 << 20 };
        assert_eq!(session.names(1000, online), ["WantNumber"]);
        assert_eq!(session.resume(1000, 1, STATE), ["Send 5", "Send 7"]);
        assert_eq!(session.receive(1000, Message::Resumed(RESUMED)), ["Acknowledge"]);
        session
    }
}

fn download(from: u64, count: usize) -> Message<'static> {
    Message::Download(Download {
        from,
        salt: 1,
        head: 100,
        horizon: 2,
        durable_seq: 10,
        bytes_left: 0,
        items: vec![Item::Entry { client: 9, entry: b"entry" }; count],
    })
}

#[test]
fn a_file_without_identity_asks_for_one_first() {
    let mut session = Session(ClientSession::new("/notes", 1, 1));
    session.names(0, ClientInput::Online { window_bytes: 1 << 20 });
    assert_eq!(session.resume(0, 1, FileState::default()), ["Send 5"]);
    let identity = Message::Identity(Identity { client: 7, client_salt: 70 });
    assert_eq!(session.receive(0, identity), ["StoreIdentity", "ReadState"]);
    let state = FileState { client: 7, client_salt: 70, ..FileState::default() };
    assert_eq!(session.names(0, ClientInput::State { ticket: 2, state }), ["Send 7"]);
}

#[test]
fn a_download_that_does_not_follow_is_asked_for_once_and_then_is_a_reset() {
    let mut session = Session::live();
    assert_eq!(session.receive(1000, download(8, 2)), [""; 0], "the file has it");
    assert_eq!(session.receive(1000, download(10, 2)), ["Apply"]);
    assert_eq!(session.receive(1000, download(10, 2)), [""; 0], "it is being applied");
    assert_eq!(session.receive(1000, download(13, 1)), ["Send 18", "WantNumber"]);
    assert_eq!(session.resume(1000, 2, STATE), ["Send 5", "Send 7"]);
    session.receive(1000, Message::Resumed(RESUMED));
    assert_eq!(session.receive(1000, download(9, 2)), ["Send 18", "Reset 112"]);
    let rebind = session.names(1000, ClientInput::Recovered);
    assert_eq!(rebind, [""; 0], "without progress, the next attempt waits");
    assert!(session.0.deadline().is_some_and(|at| at > 1000));
}

#[test]
fn actions_of_session_errors_are_those_of_the_document() {
    for code in Code::ALL.iter().copied().chain([Code(999)]) {
        let mut session = Session::live();
        let outputs = session.receive(2000, failed(code, 9000));
        match code.action() {
            Action::Retry => {
                assert_eq!(outputs, [""; 0]);
                assert_eq!(session.0.deadline(), Some(11_000), "retry after");
            }
            Action::Resume => assert_eq!(outputs, ["WantNumber"]),
            Action::NewIdentity => assert_eq!(outputs, ["NewIdentity"]),
            Action::Reset => assert_eq!(outputs, [format!("Reset {}", code.0)]),
            Action::RefreshToken => assert_eq!(outputs, ["Report"]),
            Action::Stop => {
                assert_eq!(outputs, ["Report"]);
                assert!(session.0.deadline() >= Some(2000 + 225_000), "the longest backoff");
            }
        }
    }
}

#[test]
fn the_answer_to_resume_is_compared_with_the_file() {
    let check = |resumed: Resumed, expect: &[&str]| {
        let mut session = Session(ClientSession::new("/notes", 1, 1));
        session.names(0, ClientInput::Online { window_bytes: 1 << 20 });
        session.resume(0, 1, STATE);
        let found = session.receive(0, Message::Resumed(resumed.clone()));
        assert_eq!(found, expect, "{resumed:?}");
    };
    check(Resumed { epoch: 6, ..RESUMED }, &["Send 18", "Reset 211"]);
    check(Resumed { head: 9, ..RESUMED }, &["Send 18", "Reset 209"]);
    check(Resumed { horizon: 11, head: 12, ..RESUMED }, &["Send 18", "Reset 222"]);
    check(Resumed { last_client_seq: 3, ..RESUMED }, &["Send 18", "Reset 211"]);
    check(Resumed { last_client_seq: 5, ..RESUMED }, &["Send 18", "NewIdentity"]);
}

#[test]
fn a_server_that_owes_an_answer_for_a_minute_is_asked_again() {
    let mut session = Session(ClientSession::new("/notes", 1, 1));
    session.names(0, ClientInput::Online { window_bytes: 1 << 20 });
    session.resume(0, 1, STATE);
    assert_eq!(session.0.deadline(), Some(60_000));
    assert_eq!(session.names(60_000, ClientInput::Tick), ["Send 18"]);
    let retry = session.0.deadline().unwrap();
    assert_eq!(session.names(retry, ClientInput::Tick), ["WantNumber"]);
}

#[test]
fn the_cursor_is_reported_once_a_second_and_credit_is_given_back() {
    let mut session = Session::live();
    let apply = |session: &mut Session, now: u64, from: u64| {
        let bytes = encode(1, download(from, 1));
        let packet = Packet::open(&bytes).unwrap();
        let out = session.handle(now, ClientInput::Received(&packet));
        let [ClientOutput::Apply(apply)] = &out[..] else { panic!("{out:?}") };
        let applied = ClientInput::Applied { ticket: apply.ticket, oldest_base: from + 1 };
        session.names(now, applied)
    };
    assert_eq!(apply(&mut session, 2000, 10), ["Send 17"]);
    assert_eq!(apply(&mut session, 2500, 11), [""; 0]);
    assert_eq!(session.0.deadline(), Some(3000));
    assert_eq!(session.names(3000, ClientInput::Tick), ["Send 17"]);
    assert_eq!(session.0.deadline(), None);
}

/// A snapshot in one part.
pub(super) fn snapshot() -> Message<'static> {
    Message::SnapshotPart(SnapshotPart {
        snapshot: 4,
        epoch: 5,
        seq: 50,
        salt: 1,
        horizon: 2,
        total: 5,
        offset: 0,
        part: b"whole",
        root: Some([1; 32]),
    })
}

#[test]
fn a_reset_fetches_a_snapshot_in_parts_and_resumes_behind_it() {
    let mut session = Session::live();
    assert_eq!(session.receive(2000, failed(Code::EXPIRED, 0)), ["Reset 222"]);
    let fetch = |snapshot, offset| ClientInput::FetchSnapshot { snapshot, offset };
    assert_eq!(session.names(2000, fetch(0, 0)), ["WantNumber"]);
    assert_eq!(session.resume(2000, 2, FileState::default()), ["Send 5", "Send 15"]);
    let part = |offset: u64, part: &'static [u8]| {
        let end = offset + part.len() as u64;
        Message::SnapshotPart(SnapshotPart {
            snapshot: 4,
            epoch: 5,
            seq: 50,
            salt: 1,
            horizon: 2,
            total: 8,
            offset,
            part,
            root: (end == 8).then_some([1; 32]),
        })
    };
    let identity = Message::Identity(Identity { client: 8, client_salt: 80 });
    assert_eq!(session.receive(2000, identity), ["StoreIdentity"]);
    assert_eq!(session.receive(2000, part(0, b"first")), ["Snapshot"]);
    assert_eq!(session.0.deadline(), None, "the driver stores the part");
    // The connection is lost, and the fetch continues behind the stored part.
    session.names(3000, ClientInput::Offline);
    let online = ClientInput::Online { window_bytes: 1 << 20 };
    assert_eq!(session.names(4000, online), ["WantNumber"]);
    assert_eq!(session.resume(4000, 1, FileState { client: 8, ..STATE }), ["Send 5", "Send 15"]);
    assert_eq!(session.receive(4000, part(5, b"end")), ["Snapshot"]);
    assert_eq!(session.names(4000, ClientInput::Recovered), ["Send 18", "WantNumber"]);
    let state = FileState { client: 8, cursor: 50, ..STATE };
    assert_eq!(session.resume(4000, 2, state), ["Send 5", "Send 7"]);
}

fn server_names(session: &mut ServerSession, input: ServerInput<'_>) -> Vec<String> {
    let mut out = Vec::new();
    session.handle(input, &mut out);
    let name = |output: &ServerOutput<'_>| {
        if let ServerOutput::Send(bytes) = output {
            format!("Send {}", bytes[0])
        } else {
            first_word(output)
        }
    };
    out.iter().map(name).collect()
}

fn server_receives(session: &mut ServerSession, message: Message<'_>) -> Vec<String> {
    let bytes = encode(1, message);
    let packet = Packet::open(&bytes).unwrap();
    server_names(session, ServerInput::Received(&packet))
}

/// A session of a server that is live.
fn live_server(head: u64) -> ServerSession {
    let mut session = ServerSession::new(1, &TERMS);
    let bind = Bind { path: "/notes", schema_hash: 1, wants_identity: false };
    assert_eq!(server_receives(&mut session, Message::Bind(bind)), ["Bind"]);
    let resume = Resume {
        client: 7,
        client_salt: 70,
        epoch: 5,
        cursor: 0,
        cursor_salt: 0,
        last_client_seq: 4,
        chain_hash: 44,
        oldest_base: 0,
    };
    assert_eq!(server_receives(&mut session, Message::Resume(resume)), [""; 0], "not open yet");
    assert_eq!(server_names(&mut session, ServerInput::Bound(None)), ["Resume"]);
    let resumed = Resumed { head, ..RESUMED };
    let input = ServerInput::Resumed { resumed, rejected: Vec::new() };
    let reads: &[&str] = if head > 0 { &["Send 8", "ReadHistory"] } else { &["Send 8"] };
    assert_eq!(server_names(&mut session, input), reads);
    session
}

#[test]
fn a_server_stops_sending_without_credit() {
    let mut session = live_server(100);
    let entry = vec![7; 1_000_000];
    let read = |from, ticket| {
        let items = vec![Item::Entry { client: 9, entry: &entry }];
        let download =
            Download { from, salt: 1, head: 100, horizon: 0, durable_seq: 0, bytes_left: 0, items };
        ServerInput::History { ticket, download }
    };
    for number in 0..4 {
        assert_eq!(
            server_names(&mut session, read(number, number + 1)),
            ["Send 12", "ReadHistory"]
        );
    }
    // 4 MiB of credit are used up by the fifth.
    assert_eq!(server_names(&mut session, read(4, 5)), ["Send 12"]);
    let moved = ServerInput::HeadMoved { head: 200, durable_seq: 0 };
    assert_eq!(server_names(&mut session, moved), [""; 0]);
    let credit = Message::Credit(Credit { bytes: 1 });
    assert_eq!(server_receives(&mut session, credit), ["ReadHistory"]);
}

#[test]
fn a_client_that_exceeds_its_window_is_refused() {
    let mut session = live_server(0);
    let entry = vec![7; 1 << 20];
    let upload =
        || Message::Upload(fastness_sync::frame::Upload { oldest_base: 0, entries: vec![&entry] });
    assert_eq!(server_receives(&mut session, upload()), ["Submit"]);
    assert_eq!(server_receives(&mut session, upload()), ["Submit"]);
    assert_eq!(server_receives(&mut session, upload()), ["Send 22", "Ended"]);
    assert_eq!(server_receives(&mut session, upload()), [""; 0], "the session has ended");
}

#[test]
fn frames_out_of_order_end_the_session() {
    let ack = Message::Ack(Ack { last_client_seq: 1, durable_seq: 1 });
    assert_eq!(server_receives(&mut live_server(0), ack), ["Send 22", "Ended"]);
    let mut session = ServerSession::new(1, &TERMS);
    let progress = Message::Progress(Progress { cursor: 1, oldest_base: 1 });
    assert_eq!(server_receives(&mut session, progress), ["Send 22", "Ended"]);
    let unbind = Message::Unbind(fastness_sync::frame::Empty);
    assert_eq!(server_receives(&mut live_server(0), unbind), ["Send 19", "Ended"]);
}

/// A server's connection that is open for the user `u` until 500,000 ms.
fn open_connection() -> ServerConnection {
    let mut server = ServerConnection::new(0, TERMS);
    let hello = Hello { version_min: 1, version_max: 9, features: 3, now_ms: 0, library: "" };
    assert_eq!(connection_receives(&mut server, 0, Message::Hello(hello)), ["Send 2"]);
    let auth = Message::Auth(Auth { token: "t" });
    assert_eq!(connection_receives(&mut server, 0, auth), ["Authenticate"]);
    assert_eq!(authenticate(&mut server, "u", 1), ["Send 4"]);
    server
}

fn authenticate(server: &mut ServerConnection, user: &str, ticket: u64) -> Vec<String> {
    let expires_at_ms = 500_000;
    let mut out = Vec::new();
    let input = ServerConnectionInput::Authenticated { ticket, user, expires_at_ms };
    server.handle(0, input, &mut out);
    out.iter().map(connection_name).collect()
}

fn connection_receives(
    server: &mut ServerConnection,
    session: u32,
    message: Message<'_>,
) -> Vec<String> {
    let bytes = encode(session, message);
    let mut out = Vec::new();
    server.handle(0, ServerConnectionInput::Received(&bytes), &mut out);
    out.iter().map(connection_name).collect()
}

fn connection_name(output: &ServerConnectionOutput<'_>) -> String {
    if let ServerConnectionOutput::Send(bytes) = output {
        format!("Send {}", bytes[0])
    } else {
        first_word(output)
    }
}

fn bind() -> Message<'static> {
    Message::Bind(Bind { path: "/notes", schema_hash: 1, wants_identity: false })
}

#[test]
fn a_connection_belongs_to_one_user_until_the_token_expires() {
    let auth = || Message::Auth(Auth { token: "next" });
    let mut server = open_connection();
    assert_eq!(connection_receives(&mut server, 0, auth()), ["Authenticate"]);
    assert_eq!(authenticate(&mut server, "u", 1), [""; 0], "the answer to an earlier question");
    assert_eq!(authenticate(&mut server, "u", 2), ["Send 4"]);
    connection_receives(&mut server, 0, auth());
    assert_eq!(authenticate(&mut server, "other", 3), ["Send 22", "Close"]);
    let mut server = open_connection();
    let ping = encode(0, Message::Ping(Ping { now_ms: 5, round_trip_ms: 0 }));
    server.handle(490_000, ServerConnectionInput::Received(&ping), &mut Vec::new());
    assert_eq!(server.deadline(), Some(500_000));
    let mut out = Vec::new();
    server.handle(500_000, ServerConnectionInput::Tick, &mut out);
    assert!(matches!(out[..], [_, ServerConnectionOutput::Close]), "{out:?}");
}

#[test]
fn a_session_number_is_used_once_and_sessions_are_limited() {
    let mut server = open_connection();
    for session in 1..=64 {
        assert_eq!(connection_receives(&mut server, session, bind()), ["Open", "Deliver"]);
    }
    assert_eq!(connection_receives(&mut server, 65, bind()), ["Send 22"], "one too many");
    let progress = || Message::Progress(Progress { cursor: 1, oldest_base: 1 });
    assert_eq!(connection_receives(&mut server, 65, progress()), [""; 0], "it was never opened");
    assert_eq!(connection_receives(&mut server, 64, progress()), ["Deliver"]);
    server.handle(0, ServerConnectionInput::Ended(64), &mut Vec::new());
    assert_eq!(connection_receives(&mut server, 64, progress()), [""; 0], "a late frame");
    assert_eq!(connection_receives(&mut server, 66, bind()), ["Open", "Deliver"]);
    assert_eq!(connection_receives(&mut server, 66, bind()), ["Send 22", "Close"]);
}

#[test]
fn versions_without_overlap_end_the_connection() {
    let mut server = ServerConnection::new(0, TERMS);
    let hello = Hello { version_min: 2, version_max: 9, features: 0, now_ms: 0, library: "" };
    assert_eq!(connection_receives(&mut server, 0, Message::Hello(hello)), ["Send 22", "Close"]);
    let mut server = ServerConnection::new(0, TERMS);
    assert_eq!(connection_receives(&mut server, 1, bind()), ["Send 22", "Close"], "before HELLO");
}

#[test]
fn applied_bytes_are_credited_by_the_mebibyte() {
    let mut session = Session::live();
    let entry = vec![7; 600_000];
    let apply = |session: &mut Session, from: u64| {
        let items = vec![Item::Entry { client: 9, entry: &entry }];
        let (salt, head, horizon, durable_seq, bytes_left) = (1, 100, 2, 10, 0);
        let download = Download { from, salt, head, horizon, durable_seq, bytes_left, items };
        let bytes = encode(1, Message::Download(download));
        let packet = Packet::open(&bytes).unwrap();
        let out = session.handle(2000, ClientInput::Received(&packet));
        let [ClientOutput::Apply(apply)] = &out[..] else { panic!("{out:?}") };
        let applied = ClientInput::Applied { ticket: apply.ticket, oldest_base: from + 1 };
        session.names(2000, applied)
    };
    assert_eq!(apply(&mut session, 10), ["Send 17"]);
    assert_eq!(apply(&mut session, 11), ["Send 13"], "1.2 MB");
    assert_eq!(apply(&mut session, 12), [""; 0]);
}

#[test]
fn a_mark_is_complete_when_what_precedes_it_is_applied() {
    let mut session = Session::live();
    let want = ClientInput::WantDownloadCompletion { number: 3 };
    assert_eq!(session.names(2000, want), ["Send 14"]);
    let bytes = encode(1, download(10, 1));
    let packet = Packet::open(&bytes).unwrap();
    let out = session.handle(2000, ClientInput::Received(&packet));
    let [ClientOutput::Apply(apply)] = &out[..] else { panic!("{out:?}") };
    let ticket = apply.ticket;
    let mark = || Message::Mark(Mark { number: 3 });
    assert_eq!(session.receive(2000, mark()), [""; 0], "the download is not applied");
    let applied = ClientInput::Applied { ticket, oldest_base: 11 };
    assert_eq!(session.names(2000, applied), ["DownloadComplete", "Send 17"]);
    let mut server = live_server(100);
    assert_eq!(server_receives(&mut server, mark()), [""; 0], "the history is not sent");
}

#[test]
fn a_reset_forgets_the_numbers_of_before() {
    let mut session = Session::live();
    let local = |durable_client_seq| ClientInput::LocalEntries { durable_client_seq };
    assert_eq!(session.names(2000, local(50)), ["ReadPending"]);
    assert_eq!(session.receive(2000, failed(Code::EXPIRED, 0)), ["Reset 222"]);
    session.names(2000, local(51));
    assert_eq!(session.names(2000, ClientInput::Recovered), ["WantNumber"]);
    session.resume(2000, 2, STATE);
    assert_eq!(
        session.receive(2000, Message::Resumed(RESUMED)),
        ["Acknowledge"],
        "nothing to read"
    );
}

#[test]
fn delays_grow_until_a_binding_lasts() {
    let mut session = Session::live();
    let mut now = 1000;
    for number in 2..7 {
        session.receive(now, failed(Code::SESSION_CLOSED, 0));
        now = session.0.deadline().unwrap();
        assert_eq!(session.names(now, ClientInput::Tick), ["WantNumber"]);
        session.resume(now, number, STATE);
        session.receive(now, Message::Resumed(RESUMED));
    }
    assert!(now >= 1000 + 31_000 * 3 / 4, "1 + 2 + 4 + 8 + 16 s: {now}");
    session.receive(now + 60_000, failed(Code::SESSION_CLOSED, 0));
    assert!(session.0.deadline().unwrap() <= now + 61_000);
}
