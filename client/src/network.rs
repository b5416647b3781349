//! Network threads: each server has its own, so that one that does not answer holds up no other.
//!
//! - Z1 Every request gets an answer or a failure.
//! - Z3 Requests to one server wait for that server only.

use crate::http::send;
use crate::message::Message;
use fastness_auth::users::{HttpOutcome, Input};
use fastness_auth::{NetworkError, Request, RequestId};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use ureq::Agent;

/// Sends requests on threads that end when their server has no more.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    agent: Agent,
    answers: Sender<Message>,
    /// Threads of one server.
    threads_max: usize,
    lanes: Mutex<HashMap<String, Lane>>,
}

/// Requests to one server.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<(RequestId, Request)>,
    threads: usize,
}

impl Network {
    pub(crate) fn new(agent: Agent, answers: Sender<Message>, threads_max: usize) -> Self {
        let lanes = Mutex::default();
        Self(Arc::new(Shared { agent, answers, threads_max: threads_max.max(1), lanes }))
    }

    /// Sends a request; its answer is a message.
    pub(crate) fn send(&self, id: RequestId, request: Request) {
        let server = server_of(request.url()).to_owned();
        let mut lanes = self.lanes();
        let lane = lanes.entry(server.clone()).or_default();
        lane.waiting.push_back((id, request));
        if lane.threads >= self.0.threads_max {
            return;
        }
        let network = self.clone();
        let name = "fastness-network".to_owned();
        let spawned = Builder::new().name(name).spawn(move || network.work(&server));
        if spawned.is_ok() {
            lane.threads += 1;
        } else if lane.threads == 0 {
            // Without a thread nothing would answer.
            lane.waiting.pop_back();
            self.answer(id, HttpOutcome::failed(NetworkError::Other));
        }
    }

    /// Sends the requests to a server until there are none.
    fn work(&self, server: &str) {
        while let Some((id, request)) = self.next(server) {
            // The thread survives a panic of the library; the call gets an error.
            let answer = catch_unwind(AssertUnwindSafe(|| send(&self.0.agent, &request)))
                .unwrap_or_else(|_| HttpOutcome::failed(NetworkError::Other));
            self.answer(id, answer);
        }
    }

    /// Returns the next request to a server; without one the thread ends.
    fn next(&self, server: &str) -> Option<(RequestId, Request)> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(server)?;
        if let Some(next) = lane.waiting.pop_front() {
            return Some(next);
        }
        lane.threads -= 1;
        if lane.threads == 0 {
            lanes.remove(server);
        }
        None
    }

    fn answer(&self, id: RequestId, answer: HttpOutcome) {
        // After the end of the driver there is no receiver.
        self.0.answers.send(Message::Input(Input::Response(id, answer))).unwrap_or_default();
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Lane>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns scheme, host and port of an address.
fn server_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?']).map_or(url.len(), |at| authority + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::server_of;

    #[test]
    fn a_server_is_scheme_host_and_port() {
        for (url, server) in [
            ("http://h:9080/auth", "http://h:9080"),
            ("https://h/auth//users/a/b?x=/", "https://h"),
            ("http://[::1]:1?x", "http://[::1]:1"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(server_of(url), server);
        }
    }
}
