//! A login storm: many users log in, get tokens and are looked up over loopback, for a while; what
//! comes back is counted and timed, beside what one hash costs.
//!
//!     cargo run --release --package fastness-server --example storm -- \
//!         [--seconds 60] [--users 1000] [--json FILE] [--html FILE]
//!
//! Three phases share the time: logins (one hash each, the physical limit), refreshes and look-ups
//! (no hash). Every user holds a connection; what is not answered with 200 is an error.

#![expect(clippy::print_stdout, reason = "the result goes to the terminal")]

use fastness_auth::server::{PasswordHasher as _, Policy, Rate, RateLimits};
use fastness_server::{Argon2id, Config, HashCosts, HttpLimits, Server, start};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Kind of the requests of a phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    LogIn,
    Refresh,
    LookUp,
}

/// Result of a phase.
struct Phase {
    name: &'static str,
    seconds: f64,
    /// Latencies in microseconds, ascending.
    micros: Vec<u64>,
    errors: usize,
    resident_kib: u64,
}

/// A user: a name, a connection, and the token of the last login.
struct User {
    number: usize,
    stream: BufReader<TcpStream>,
    token: String,
    admin: Arc<str>,
}

impl User {
    fn connect(address: SocketAddr, number: usize) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        let stream = BufReader::new(stream);
        Ok(Self { number, stream, token: String::new(), admin: "".into() })
    }

    /// Sends a request and returns the body of the answer, if it was granted.
    fn ask(&mut self, head: &str, body: &str) -> Outcome<String> {
        let length = body.len();
        let (is_look_up, admin) = (head.starts_with("GET"), &self.admin);
        let authorization =
            if is_look_up { format!("Authorization: {admin}\r\n") } else { String::new() };
        let request = format!(
            "{head} HTTP/1.1\r\nHost: storm\r\nContent-Length: {length}\r\n\
             {authorization}\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the connection ended".into());
            }
            let text = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = text.strip_prefix("http/1.1 ") {
                status = rest.get(..3).unwrap_or_default().parse()?;
            } else if let Some(rest) = text.strip_prefix("content-length: ") {
                length = rest.parse()?;
            } else if text.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body)?;
        if status == 200 { Ok(body) } else { Err(format!("{status}: {body}").into()) }
    }

    fn log_in(&mut self, name: &str, (password, register): (&str, bool)) -> Outcome<()> {
        let info = format!(r#"{{"register":{register},"password":"{password}"}}"#);
        let body = format!(r#"{{"provider":"password","data":"{name}","user_info":{info}}}"#);
        let answer = self.ask("POST /auth", &body)?;
        let (_, rest) = answer.split_once(r#""token":""#).ok_or("no token")?;
        self.token = rest.split('"').next().unwrap_or_default().to_owned();
        Ok(())
    }

    fn make(&mut self, kind: Kind) -> Outcome<()> {
        let name = format!("user-{}", self.number);
        match kind {
            Kind::LogIn => self.log_in(&name, (&name, false)),
            Kind::Refresh => {
                let token = &self.token;
                let body = format!(r#"{{"provider":"realm","data":"{token}","path":"/~/notes"}}"#);
                self.ask("POST /auth", &body).map(drop)
            }
            Kind::LookUp => self.ask(&format!("GET /auth//users/password/{name}"), "").map(drop),
        }
    }
}

/// Lets every thread make requests for its users, one after the other, until the time is over.
fn storm(users: &mut [Vec<User>], (kind, name): (Kind, &'static str), time: Duration) -> Phase {
    let begun = Instant::now();
    let results: Vec<(Vec<u64>, usize)> = thread::scope(|scope| {
        let threads: Vec<_> = users
            .iter_mut()
            .map(|users| {
                scope.spawn(move || {
                    let (mut micros, mut errors) = (Vec::new(), 0);
                    'all: loop {
                        for user in users.iter_mut() {
                            if begun.elapsed() >= time {
                                break 'all;
                            }
                            let asked = Instant::now();
                            errors += usize::from(user.make(kind).is_err());
                            let took = asked.elapsed().as_micros();
                            micros.push(u64::try_from(took).unwrap_or(u64::MAX));
                        }
                    }
                    (micros, errors)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let errors = results.iter().map(|(_, errors)| errors).sum();
    let mut micros: Vec<u64> = results.into_iter().flat_map(|(micros, _)| micros).collect();
    micros.sort_unstable();
    Phase { name, seconds, micros, errors, resident_kib: resident_kib() }
}

impl Phase {
    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.micros.len() as f64 / self.seconds } else { 0.0 }
    }

    /// The value below which so many of a thousand are, in microseconds.
    fn at(&self, thousandths: usize) -> u64 {
        let index = self.micros.len() * thousandths / 1000;
        self.micros.get(index.min(self.micros.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    fn json(&self) -> String {
        format!(
            "{{\"phase\":\"{}\",\"seconds\":{:.2},\"requests\":{},\"errors\":{},\
             \"per_second\":{:.1},\
             \"p50_us\":{},\"p99_us\":{},\"p999_us\":{},\"max_us\":{},\"resident_kib\":{}}}",
            self.name,
            self.seconds,
            self.micros.len(),
            self.errors,
            self.rate(),
            self.at(500),
            self.at(990),
            self.at(999),
            self.at(1000),
            self.resident_kib
        )
    }

    fn row(&self) -> String {
        format!(
            "{:<10} {:>9} requests {:>6} errors {:>10.0} a second   p50 {:>8.2} ms  \
             p99 {:>8.2} ms  max {:>8.2} ms  {:>7} KiB",
            self.name,
            self.micros.len(),
            self.errors,
            self.rate(),
            millis(self.at(500)),
            millis(self.at(990)),
            millis(self.at(1000)),
            self.resident_kib
        )
    }
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}

/// Memory of this process, server and users together; nothing where the system does not say.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The cost of one hash on one core, in milliseconds: the middle of nine.
fn hash_cost() -> Outcome<f64> {
    let hasher = Argon2id::new(HashCosts::default())?;
    let mut costs = Vec::new();
    for salt in 0..9 {
        let begun = Instant::now();
        hasher.hash(&"password".into(), &[salt; 16]).map_err(|_| "a hash failed")?;
        costs.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    costs.sort_by(f64::total_cmp);
    Ok(costs[4])
}

/// A page that needs nothing else: for each phase how many requests took how long.
fn page(phases: &[Phase], summary: &str) -> String {
    let mut body = String::new();
    for phase in phases {
        let most = phase.at(999).max(1);
        let mut counts = [0_usize; 60];
        for micros in &phase.micros {
            let at = micros.saturating_mul(60) / most;
            counts[usize::try_from(at).unwrap_or(59).min(59)] += 1;
        }
        let high = counts.iter().copied().max().unwrap_or(1).max(1);
        let bars = counts.iter().enumerate().fold(String::new(), |mut bars, (at, count)| {
            let height = 100 * count / high;
            let (x, y) = (at * 10, 100 - height);
            bars += &format!("<rect x='{x}' y='{y}' width='9' height='{height}'/>");
            bars
        });
        write!(
            body,
            "<h2>{}</h2><pre>{}</pre><svg viewBox='0 0 600 100' width='600' height='100' \
             fill='#36c'>{bars}</svg><p>0 to {:.2} ms, 999 of 1,000 requests</p>",
            phase.name,
            phase.row(),
            millis(most)
        )
        .unwrap_or_default();
    }
    format!(
        "<!doctype html><meta charset='utf-8'><title>Login storm</title>\
         <body style='font-family:sans-serif;max-width:60em;margin:2em auto'>\
         <h1>Login storm</h1><p>{summary}</p>{body}"
    )
}

fn server() -> Outcome<(Server, std::path::PathBuf)> {
    let folder = env::temp_dir().join(format!("fastness-storm-{}", std::process::id()));
    let mut config = Config::new(&folder, ([127, 0, 0, 1], 0));
    // All users come from one address.
    let often = Rate { burst: u32::MAX, interval: Duration::from_nanos(1) };
    config.limits = RateLimits { address: often, token: often, ..RateLimits::default() };
    config.policy = Policy { logins_max: 10, ..Policy::default() };
    config.http = HttpLimits {
        connections_max: 10_000,
        connections_per_address_max: 10_000,
        hash_queue_max: 10_000,
        // A user waits for all others between two requests.
        head_timeout: Duration::from_secs(600),
        ..HttpLimits::default()
    };
    Ok((start(config)?, folder))
}

fn option(name: &str) -> Option<String> {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

/// Connects users and lets all of them make their accounts at once, each in a thread; returns them
/// and how many failed.
fn registered(
    server: &Server,
    (count, admin): (usize, &Arc<str>),
) -> Outcome<(Vec<Vec<User>>, usize)> {
    let begun = Instant::now();
    let mut alone = Vec::new();
    for number in 0..count {
        let mut user = User::connect(server.address(), number)?;
        user.admin = Arc::clone(admin);
        alone.push(vec![user]);
    }
    let start_line = Barrier::new(alone.len());
    let failed = thread::scope(|scope| {
        let threads: Vec<_> = alone
            .iter_mut()
            .flatten()
            .map(|user| {
                let start_line = &start_line;
                scope.spawn(move || {
                    start_line.wait();
                    let name = format!("user-{}", user.number);
                    usize::from(user.log_in(&name, (&name, true)).is_err())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(1)).sum()
    });
    println!("registered {count} in {:.1} s, {failed} errors", begun.elapsed().as_secs_f64());
    Ok((alone, failed))
}

fn main() -> Outcome<()> {
    let number = |name, default| option(name).map_or(Ok(default), |text| text.parse());
    let (seconds, count) = (number("--seconds", 60_u64)?, number("--users", 1000)?);
    let count = usize::try_from(count)?;
    let cores = thread::available_parallelism()?.get();
    let hash_ms = hash_cost()?;
    let (server, folder) = server()?;
    let admin_secret = server.admin_secret().ok_or("the folder was in use")?.clone();
    let mut boss = User::connect(server.address(), 0)?;
    boss.log_in("realm-admin", (admin_secret.expose(), false))?;
    let admin: Arc<str> = boss.token.as_str().into();

    println!("one hash costs {hash_ms:.1} ms of one core");
    let (mut alone, failed) = registered(&server, (count, &admin))?;
    let part = |share: u64| Duration::from_millis(seconds * 1000 * share / 4);
    let mut phases = vec![storm(&mut alone, (Kind::LogIn, "log in"), part(2))];
    println!("{}", phases[0].row());
    // Without hashes the users would only wait for their turn to run: a few threads for all.
    let mut few: Vec<Vec<User>> = (0..cores * 4).map(|_| Vec::new()).collect();
    for (at, user) in alone.into_iter().flatten().enumerate() {
        let thread = at % few.len();
        few[thread].push(user);
    }
    for kind in [(Kind::Refresh, "refresh"), (Kind::LookUp, "look up")] {
        let phase = storm(&mut few, kind, part(1));
        println!("{}", phase.row());
        phases.push(phase);
    }
    let limit = 1000.0 / hash_ms * cores as f64;
    let summary = format!(
        "{count} users, {seconds} s, {cores} cores; one hash costs {hash_ms:.1} ms of one core, so \
         at most {limit:.0} logins a second; {failed} errors while registering"
    );
    if let Some(path) = option("--json") {
        let rows: Vec<String> = phases.iter().map(Phase::json).collect();
        let rows = rows.join(",");
        let json = format!(
            "{{\"users\":{count},\"cores\":{cores},\"hash_ms\":{hash_ms:.2},\
             \"logins_per_second_max\":{limit:.1},\"register_errors\":{failed},\
             \"phases\":[{rows}]}}\n"
        );
        fs::write(path, json)?;
    }
    if let Some(path) = option("--html") {
        fs::write(path, page(&phases, &summary))?;
    }
    println!("{summary}");
    drop((few, boss));
    server.stop();
    fs::remove_dir_all(folder)?;
    let errors: usize = phases.iter().map(|phase| phase.errors).sum();
    if errors + failed > 0 {
        return Err(format!("{errors} errors, {failed} while registering").into());
    }
    Ok(())
}
