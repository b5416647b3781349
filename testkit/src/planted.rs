//! Planted faults that a named test finds, in a process of its own.
//!
//! A crate whose tests find faults lists them; the binary of its tests runs itself again with the
//! variable `FASTNESS_FAULT`, once for each.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// A planted fault.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// Its id.
    pub id: &'static str,
    /// The bug.
    pub about: &'static str,
    /// The promise that it breaks.
    pub promise: &'static str,
    /// The module and the name of the test that finds it.
    pub test: (&'static str, &'static str),
}

/// Time for a test, which takes some seconds without a fault. A test that does not end has found
/// its fault, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Attempts to find a fault whose effect depends on the order of threads.
const ATTEMPTS: usize = 20;

/// Runs the test of each fault without it and with it, and prints what was found.
///
/// # Panics
/// If a test fails without a fault, or does not find its fault, or no process can be started.
#[expect(clippy::print_stdout, reason = "a test shows what it has found")]
pub fn assert_each_is_found(faults: &[Planted]) {
    for Planted { id, about, promise, test: (module, name) } in faults {
        let test = &*format!("{module}::{name}");
        let fails = |fault| fails(test, fault).unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(!fails("none"), "{test} fails without a fault");
        let is_found = (0..ATTEMPTS).any(|_| fails(id));
        assert!(is_found, "{promise}: {test} does not find {id}: {about}");
        println!("{id} {about}: {promise} by {test}");
    }
}

/// Runs a test with a fault; returns whether it fails.
fn fails(test: &str, fault: &str) -> io::Result<bool> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([test, "--exact"]).env("FASTNESS_FAULT", fault);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let output = child.stdout.take();
    let (sender, ended) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.map(|mut output| output.read_to_string(&mut text));
        // The receiver has left if the test took too long.
        drop(sender.send((read, text)));
    });
    let Ok((_, text)) = ended.recv_timeout(PATIENCE) else {
        child.kill()?;
        child.wait()?;
        return Ok(true);
    };
    assert!(text.contains("running 1 test"), "{test} is no test: {text}");
    Ok(!child.wait()?.success())
}
