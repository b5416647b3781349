//! `fastness server`: the commands of docs/operating.md, on a server that runs and on one that does
//! not (H22).

use super::serve::{RunningServer, matches, send};
use super::{TestFolder, command, fastness, output_of, start};
use fastness_server::auth::{AuthServer, Credentials, Login, Token, response};
use std::collections::BTreeMap;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/operating.md");

/// Commands of the document, each with its expected output.
fn examples() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut examples: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_console = false;
    for line in DOCUMENT.lines() {
        match line.strip_prefix("$ fastness ") {
            _ if line.starts_with("```") => is_console = line == "```console",
            Some(command) if is_console => examples.push((command, Vec::new())),
            _ if is_console => {
                if let Some((_, output)) = examples.last_mut() {
                    output.push(line);
                }
            }
            _ => {}
        }
    }
    examples
}

/// Runs the commands of the document in a folder. Without a server, `upkeep` is refused.
#[track_caller]
fn run_examples(folder: &TestFolder, has_server: bool) {
    let mut known = BTreeMap::new();
    let mut count = 0;
    for (line, expected) in examples() {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = command(&[]);
        let output = output_of(start(command.args(arguments).current_dir(folder.path(""))));
        if line.starts_with("server upkeep") && !has_server {
            assert_eq!(output.code, 1, "{line}: {}", output.err);
            assert!(output.err.contains("start it"), "{}", output.err);
            continue;
        }
        assert_eq!(output.code, 0, "{line}: {}", output.err);
        let found: Vec<&str> = output.out.lines().collect();
        assert_eq!(found.len(), expected.len(), "{line}\n{}", output.out);
        for (pattern, found) in expected.iter().zip(&found) {
            assert!(matches(pattern, found, &mut known), "{line}\n{found}\n{pattern}");
        }
        count += 1;
    }
    assert_eq!(count, if has_server { 17 } else { 16 }, "{known:?}");
}

#[test]
fn commands_of_the_document_work_on_a_running_server() {
    let dir = TestFolder::new();
    let server = RunningServer::start_in(&dir.path(""));
    run_examples(&dir, true);
    assert!(dir.path("backups/accounts.backup").is_file(), "the upkeep backs up");
    // Backups fail where a file has the name of their folder.
    std::fs::remove_dir_all(dir.path("backups")).unwrap();
    dir.write("backups", b"no folder");
    let output = fastness(&[&"server", &"upkeep", &"--data", &dir.path("accounts")]);
    assert_eq!(output.code, 1, "{}", output.out);
    assert!(output.err.contains("failures of the upkeep: 1;"), "{}", output.err);
    drop(server);
    // The copy opens as the accounts of a server.
    let restored = dir.path("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::copy(dir.path("backup.fastness"), restored.join("accounts.fastness")).unwrap();
    std::fs::copy(dir.path("accounts/key"), restored.join("key")).unwrap();
    let output = fastness(&[&"server", &"user", &"list", &"--data", &restored]);
    assert!(output.out.contains("realm-admin"), "{}", output.err);
}

#[test]
fn commands_of_the_document_work_on_a_stopped_server() {
    let dir = TestFolder::new();
    drop(RunningServer::start(&dir.path("accounts")));
    run_examples(&dir, false);
}

fn log_in(server: &AuthServer, name: &str, password: &str) -> Result<Token, i64> {
    let credentials = Credentials::username_password(name, Some(password.into()), false).unwrap();
    let Login::Send(request) = server.login(&credentials) else { unreachable!() };
    let (status, body) = send(&request).unwrap();
    let token = response::authenticate(status, &body);
    token.map(|token| token.refresh_token.unwrap()).map_err(|error| error.code().number())
}

#[test]
fn changes_of_the_operator_take_effect_on_the_running_server() {
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    let running = RunningServer::start(&data);
    let server = AuthServer::new(&running.url).unwrap();
    let operate = |arguments: &[&str]| {
        let mut command = command(&[&"server", &"user"]);
        let output = output_of(start(command.args(arguments).arg("--data").arg(&data)));
        assert_eq!(output.code, 0, "{arguments:?}: {}", output.err);
        output.out
    };
    let secret = dir.write("secret", b"a good password\n");
    let secret = secret.to_str().unwrap();
    operate(&["create", "alice", "--password-file", secret]);
    let token = log_in(&server, "alice", "a good password").unwrap();
    assert!(!token.is_admin);
    operate(&["block", "alice"]);
    assert_eq!(log_in(&server, "alice", "a good password").map(drop), Err(614));
    assert_eq!(log_in(&server, "alice", "a bad password").map(drop), Err(611));
    let (status, _) = send(&server.access_token(&token, "/~/x")).unwrap();
    assert_eq!(status, 401, "a blocked account has no login");
    operate(&["unblock", "alice"]);
    operate(&["make-admin", "alice"]);
    assert!(log_in(&server, "alice", "a good password").unwrap().is_admin);
    let printed = operate(&["set-password", "alice"]);
    let password = printed.trim_end().strip_prefix("alice may log in with ").unwrap();
    assert_eq!(log_in(&server, "alice", "a good password").map(drop), Err(611));
    log_in(&server, "alice", password).unwrap();
    operate(&["delete", "alice"]);
    assert_eq!(log_in(&server, "alice", password).map(drop), Err(611));
}

#[test]
fn refusals_and_missing_accounts_are_reported() {
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    let user = |action: &str, name: &str, data: &Path| {
        fastness(&[&"server", &"user", &action, &name, &"--data", &data])
    };
    let output = user("create", "alice", &data);
    assert_eq!(output.code, 4);
    assert!(output.err.contains("does not exist"), "{}", output.err);
    assert!(!data.exists(), "a mistyped folder is not created");
    drop(RunningServer::start(&data));
    for (action, name, reason) in [
        ("create", "realm-admin", "taken"),
        ("block", "absent", "no such account"),
        ("create", "a\u{202e}b", "invisible"),
    ] {
        let output = user(action, name, &data);
        assert_eq!(output.code, 1, "{}", output.err);
        assert!(output.err.contains(reason), "{}", output.err);
    }
}

#[cfg(unix)]
#[test]
fn the_socket_of_the_operator_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    let server = RunningServer::start(&data);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("admin.socket")), 0o600);
    // Bytes that are no request, or a part of one, change nothing.
    for bytes in [&b""[..], b"{", b"{\"request\":\"delete-user\"}", b"\xff"] {
        use std::io::{Read as _, Write as _};
        let mut stream =
            std::os::unix::net::UnixStream::connect(data.join("admin.socket")).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.contains("refused"), "{reply}");
    }
    drop(server);
    let output = fastness(&[&"server", &"user", &"list", &"--data", &data]);
    assert_eq!(output.out.lines().count(), 2, "{}", output.err);
}
