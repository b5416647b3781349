//! Writer of the log: a bounded queue, and a thread of its own that writes the lines.
//!
//! - H15 A line never waits for the reader of the log. A line that the queue has no room for, or
//!   that cannot be written, is dropped and counted, and the count is a line of the log.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that wait for the thread.
const QUEUED_LINES_MAX: usize = 1024;

/// Longest line, in bytes; the rest of a longer one is cut off.
const LINE_BYTES_MAX: usize = 4096;

/// Pause before the end of the queue is looked for again.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// Writer of the log that never blocks and never fails. Clones share the queue.
///
/// Each call of `write` is one line.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: SyncSender<Queued>,
    dropped: Arc<AtomicU64>,
}

/// Entry of the queue.
#[derive(Debug)]
enum Queued {
    Line(Vec<u8>),
    /// Marks the end of the lines so far.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `sink`, which may block or fail.
    ///
    /// # Errors
    /// If the system refuses the thread.
    pub fn spawn(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUED_LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let name = "fastness-log".to_owned();
        thread::Builder::new().name(name).spawn(move || write_lines(sink, &lines, &counter))?;
        Ok(Self { queue, dropped })
    }

    /// Waits until the lines so far are written, but no longer than `patience`.
    pub fn flush_within(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let (done, is_done) = sync_channel(1);
        let mut mark = Queued::Flush(done);
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(mark) {
            if Instant::now() >= end {
                return;
            }
            thread::sleep(FLUSH_INTERVAL);
            mark = unsent;
        }
        // A time-out leaves the rest to the thread.
        is_done.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap_or_default();
    }
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes).to_vec();
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        if self.queue.try_send(Queued::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until the last writer is dropped.
fn write_lines(mut sink: impl Write, lines: &Receiver<Queued>, dropped: &AtomicU64) {
    for queued in lines {
        match queued {
            Queued::Line(line) => {
                let is_written = report_dropped(&mut sink, dropped)
                    .and_then(|()| sink.write_all(&line))
                    .and_then(|()| sink.flush());
                if is_written.is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            // The caller may have waited long enough.
            Queued::Flush(done) => done.try_send(()).unwrap_or_default(),
        }
    }
}

/// Writes the number of dropped lines; after an error they count again.
fn report_dropped(sink: &mut impl Write, dropped: &AtomicU64) -> io::Result<()> {
    let count = dropped.swap(0, Ordering::Relaxed);
    if count == 0 {
        return Ok(());
    }
    let line = format!("{count} lines of the log were dropped: its reader is too slow\n");
    let reported = sink.write_all(line.as_bytes());
    if reported.is_err() {
        dropped.fetch_add(count, Ordering::Relaxed);
    }
    reported
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// Sink that waits for a permit before each write, and may fail.
    struct SlowSink {
        permits: Receiver<bool>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for SlowSink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without a sender the sink is fast.
            if !self.permits.recv().unwrap_or(true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (SlowSink, std::sync::mpsc::Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (permit, permits) = std::sync::mpsc::channel();
        let written = Arc::default();
        (SlowSink { permits, written: Arc::clone(&written) }, permit, written)
    }

    fn text(written: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_line_is_written_or_counted_and_none_waits() {
        let (slow, permit, written) = sink();
        let mut log = LogWriter::spawn(slow).unwrap();
        for number in 0..5000 {
            log.write_all(format!("line {number}").as_bytes()).unwrap();
        }
        drop(permit);
        log.flush_within(Duration::from_secs(60));
        log.write_all(b"last").unwrap();
        log.flush_within(Duration::from_secs(60));
        let text = text(&written);
        let lines = text.lines().filter(|line| line.starts_with("line ")).count();
        let count = |line: &str| {
            line.strip_suffix(" lines of the log were dropped: its reader is too slow")?
                .parse::<usize>()
                .ok()
        };
        let dropped: usize = text.lines().filter_map(count).sum();
        assert_eq!(lines + dropped, 5000, "{text}");
        assert!(dropped > 0 && text.ends_with("last\n"));
    }

    #[test]
    fn a_line_that_cannot_be_written_counts_as_dropped() {
        let (slow, permit, written) = sink();
        permit.send(false).unwrap();
        let mut log = LogWriter::spawn(slow).unwrap();
        log.write_all(b"one").unwrap();
        drop(permit);
        log.flush_within(Duration::from_secs(60));
        log.write_all(b"two").unwrap();
        log.flush_within(Duration::from_secs(60));
        assert_eq!(
            text(&written),
            "1 lines of the log were dropped: its reader is too slow\ntwo\n"
        );
    }
}
