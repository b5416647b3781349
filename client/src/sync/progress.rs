//! Progress of transfers, and its listeners.
//!
//! - CS4 Progress never counts what was not transferred; a listener of current changes ends.

use crate::fault;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Direction of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProgressDirection {
    /// From this device to the server.
    Upload,
    /// From the server to this device.
    Download,
}

/// End of a progress listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProgressMode {
    /// The listener is called for every change, until it is removed.
    Indefinitely,
    /// The listener ends when everything is transferred that existed when it began.
    CurrentChanges,
}

/// Progress of a transfer, in bytes of entries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Progress {
    /// Bytes that are transferred.
    pub transferred: u64,
    /// Bytes that are transferred or known to follow.
    pub transferable: u64,
}

/// A progress listener: removes it on demand. Dropping this keeps the listener.
#[derive(Clone, Debug)]
pub struct ProgressListener(Arc<AtomicBool>);

/// A callback for progress.
pub(crate) type ProgressCallback = Box<dyn Fn(Progress) + Send>;

/// A listener to add.
pub(crate) struct ProgressRequest {
    pub(crate) direction: ProgressDirection,
    pub(crate) mode: ProgressMode,
    pub(crate) callback: ProgressCallback,
    pub(crate) is_removed: Arc<AtomicBool>,
}

/// End of a listener of current changes.
#[derive(Clone, Copy, Debug)]
enum ListenerEnd {
    Never,
    /// At this download mark.
    Mark(u64),
    /// When this entry is acknowledged.
    Entry(u64),
}

struct ListenerState {
    request: ProgressRequest,
    end: ListenerEnd,
    /// Transferable bytes when the first fresh data came.
    captured: Option<u64>,
    last: Option<Progress>,
}

/// Counts of a session, and the listeners of them.
#[derive(Default)]
pub(crate) struct ProgressBook {
    listeners: Vec<ListenerState>,
    download: Download,
    upload: Option<UploadCounts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Download {
    transferred: u64,
    left: u64,
    is_known: bool,
}

/// Bytes of uploads; counted from the first listener on.
#[derive(Debug, Default)]
pub(crate) struct UploadCounts {
    /// Number of the last entry that is counted.
    pub(crate) counted: u64,
    entries: VecDeque<(u64, u64)>,
    transferred: u64,
    pending: u64,
}

impl Progress {
    /// Returns whether everything known is transferred.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.transferred >= self.transferable
    }

    /// Returns the transferred part, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
    pub fn fraction(&self) -> f64 {
        if self.is_complete() { 1.0 } else { self.transferred as f64 / self.transferable as f64 }
    }
}

impl ProgressListener {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Removes the listener. A call under way ends; no later one begins.
    pub fn remove(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl UploadCounts {
    /// Begins behind the entry that was acknowledged last.
    pub(crate) fn after(uploaded: u64) -> Self {
        Self { counted: uploaded, ..Self::default() }
    }

    /// Counts a pending entry.
    pub(crate) fn push(&mut self, client_seq: u64, bytes: usize) {
        self.counted = client_seq;
        self.pending += bytes as u64;
        self.entries.push_back((client_seq, bytes as u64));
    }

    fn acknowledge(&mut self, client_seq: u64) {
        while let Some((_, bytes)) = self.entries.pop_front_if(|(seq, _)| *seq <= client_seq) {
            self.pending -= bytes;
            self.transferred += bytes;
        }
    }

    const fn progress(&self) -> Progress {
        let transferable = self.transferred + self.pending;
        Progress { transferred: self.transferred, transferable }
    }
}

impl ProgressBook {
    /// Returns the counts of uploads, if a listener needs them.
    pub(crate) const fn uploads(&mut self) -> Option<&mut UploadCounts> {
        self.upload.as_mut()
    }

    /// Counts uploads from now on.
    pub(crate) fn count_uploads(&mut self, counts: UploadCounts) {
        self.upload.get_or_insert(counts);
    }

    /// Adds a listener. One of downloads ends at a mark, one of uploads with the last entry.
    pub(crate) fn listen(&mut self, request: ProgressRequest, end: u64) {
        let end = match (request.mode, request.direction) {
            (ProgressMode::Indefinitely, _) => ListenerEnd::Never,
            (ProgressMode::CurrentChanges, ProgressDirection::Download) => ListenerEnd::Mark(end),
            (ProgressMode::CurrentChanges, ProgressDirection::Upload) => ListenerEnd::Entry(end),
        };
        let captured = match (end, &self.upload) {
            (ListenerEnd::Entry(_), Some(upload)) => Some(upload.progress().transferable),
            _ => None,
        };
        let state = ListenerState { request, end, captured, last: None };
        self.listeners.push(state);
        self.notify(None);
    }

    /// Counts bytes that were downloaded, and an estimate of those that follow.
    pub(crate) fn downloaded(&mut self, bytes: u64, left: u64) {
        let transferred = self.download.transferred + bytes;
        self.download = Download { transferred, left, is_known: true };
        let transferable = transferred + left;
        for listener in &mut self.listeners {
            if matches!(listener.end, ListenerEnd::Mark(_)) {
                listener.captured.get_or_insert(transferable);
            }
        }
        self.notify(None);
    }

    /// Everything is downloaded that the server had when it got the mark, and so for earlier ones.
    pub(crate) fn marked(&mut self, number: u64) {
        self.download.is_known = true;
        self.download.left = 0;
        self.notify(Some(number));
    }

    /// Notes that pending entries were counted.
    pub(crate) fn written(&mut self) {
        self.notify(None);
    }

    /// The server has the entries up to this one.
    pub(crate) fn acknowledged(&mut self, client_seq: u64) {
        if let Some(upload) = &mut self.upload {
            upload.acknowledge(client_seq);
            self.notify(None);
        }
    }

    /// A reset has numbered the entries again.
    pub(crate) fn renumbered(&mut self, counts: UploadCounts, last: u64) {
        let Some(upload) = &mut self.upload else { return };
        *upload = UploadCounts { transferred: upload.transferred, ..counts };
        for listener in &mut self.listeners {
            if let ListenerEnd::Entry(entry) = &mut listener.end {
                *entry = last;
            }
        }
        self.notify(None);
    }

    fn notify(&mut self, mark: Option<u64>) {
        let (download, upload) = (self.download, self.upload.as_ref());
        self.listeners.retain_mut(|listener| {
            if listener.request.is_removed.load(Ordering::Acquire) {
                return false;
            }
            let progress = match listener.request.direction {
                ProgressDirection::Download => listener.download(download, mark),
                ProgressDirection::Upload => upload.and_then(|upload| listener.upload(upload)),
            };
            let Some((progress, is_end)) = progress else { return true };
            if listener.last != Some(progress) {
                listener.last = Some(progress);
                // A listener that panics goes on; the panic hook has reported it.
                let call = AssertUnwindSafe(|| (listener.request.callback)(progress));
                catch_unwind(call).unwrap_or_default();
            }
            !is_end || fault::on("NC-02")
        });
    }
}

impl ListenerState {
    /// Returns the progress, and whether it is the last.
    fn download(&self, download: Download, mark: Option<u64>) -> Option<(Progress, bool)> {
        let Download { transferred, left, is_known } = download;
        if !is_known {
            return None;
        }
        match self.end {
            ListenerEnd::Never => {
                Some((Progress { transferred, transferable: transferred + left }, false))
            }
            ListenerEnd::Mark(number) if mark.is_some_and(|mark| mark >= number) => {
                Some((Progress { transferred, transferable: transferred }, true))
            }
            ListenerEnd::Mark(_) | ListenerEnd::Entry(_) => {
                // Without the mark, more may follow than was known.
                let transferable = self.captured?.max(transferred + u64::from(left > 0));
                Some((Progress { transferred, transferable }, false))
            }
        }
    }

    fn upload(&self, upload: &UploadCounts) -> Option<(Progress, bool)> {
        let Progress { transferred, transferable } = upload.progress();
        let ListenerEnd::Entry(last) = self.end else {
            return Some((Progress { transferred, transferable }, false));
        };
        let first = upload.entries.front().map(|(client_seq, _)| *client_seq);
        let is_end = first.is_none_or(|first| first > last);
        let captured = self.captured.unwrap_or(transferable).max(transferred);
        let transferable = if is_end { transferred } else { captured.max(transferred + 1) };
        Some((Progress { transferred, transferable }, is_end))
    }
}
