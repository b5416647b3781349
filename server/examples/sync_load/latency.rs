//! The time from a commit on one device to the observer on another one, beside the time of a sync
//! of the disk and of a round trip.

use crate::Outcome;
use crate::devices::Device;
use crate::host::{Host, PATIENCE};
use crate::percentile;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Changes.
const ROUNDS: usize = 500;

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn measure(host: &Host) -> Outcome<()> {
    let mut syncs = syncs(host)?;
    let mut trips = round_trips()?;
    let device = |name: &str, create| Device::open(&host.url, (name, create), host.folder.path());
    let (one, other) = (device("one", true)?, device("other", false)?);
    let (_, changes) = other.file.database().subscribe()?;
    let mut times = Vec::new();
    for number in 0..ROUNDS {
        thread::sleep(Duration::from_millis(5));
        let begun = Instant::now();
        one.write(i64::try_from(number)?, "a small change")?;
        changes.recv(PATIENCE).ok_or("the change does not arrive")?;
        times.push(micros(begun.elapsed()));
    }
    let (sync, trip) = (percentile(&mut syncs, 0.5), percentile(&mut trips, 0.5));
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    let limit = 3 * (2 * sync + trip);
    println!(
        "latency: p50 {p50} us, p99 {p99} us; sync {sync} us, round trip {trip} us, \
         3 x (two syncs + one round trip) {limit} us"
    );
    Ok(())
}

/// Times of a sync of a page at the end of a file.
fn syncs(host: &Host) -> Outcome<Vec<u64>> {
    let mut file = File::create(host.folder.path().join("synced"))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(micros(begun.elapsed()));
    }
    Ok(times)
}

/// Times of a round trip over loopback.
fn round_trips() -> Outcome<Vec<u64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut bytes = [0; 100];
        loop {
            stream.read_exact(&mut bytes)?;
            stream.write_all(&bytes)?;
        }
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut times, mut bytes) = (Vec::new(), [0; 100]);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        times.push(micros(begun.elapsed()));
    }
    Ok(times)
}
