//! The server replica against its model, and what a model has no words for: crashes, backups,
//! clients that return, snapshots.

mod clients;
mod crashes;
mod databases;
mod decisions;
mod hostile;
mod pair;
mod restores;
mod snapshots;
mod updates;
