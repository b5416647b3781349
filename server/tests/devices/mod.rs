//! Devices with synced files against our server, over TLS: the original's own tests by their names.

mod encrypted_tests;
mod network_tests;
mod progress_tests;
mod relay;
mod reset_tests;
mod session_tests;
mod support;
mod task_tests;
