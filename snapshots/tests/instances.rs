//! Reviewed texts of instance errors.

use crate::texts::assert_all_listed;
use fastness::{ConfigurationDifference, Error, InstanceError};
use std::fmt::Write as _;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from("data/default.realm")
}

fn errors() -> Vec<InstanceError> {
    let differences = [
        ConfigurationDifference::Key,
        ConfigurationDifference::UnnamedMigration,
        ConfigurationDifference::Field("the schema version"),
    ];
    let other = |difference| InstanceError::OtherConfiguration { path: path(), difference };
    let others = [
        InstanceError::StillOpen { path: path(), count: 3 },
        InstanceError::Closed { path: path() },
        InstanceError::OtherThread { path: path() },
        InstanceError::InTransaction { path: path() },
        InstanceError::Deadlock { path: path() },
        InstanceError::AtWork { path: path() },
        InstanceError::BlockingForbidden { path: path() },
        InstanceError::SyncedCompaction { path: path() },
        InstanceError::SyncedMigration { path: path() },
        InstanceError::NotSynced { path: path() },
        InstanceError::NoSession { path: path() },
        InstanceError::NoAction { path: path() },
        InstanceError::CopyTargetExists { path: path() },
    ];
    differences.map(other).into_iter().chain(others).collect()
}

#[test]
fn every_error_of_instances_is_reviewed() {
    let mut text = String::new();
    for error in errors().into_iter().map(Error::from) {
        writeln!(text, "{error}\n    {:?}, remedy {:?}", error.kind(), error.remedy()).unwrap();
    }
    insta::assert_snapshot!("instance_errors", text);
}

#[test]
fn every_variant_of_the_errors_of_instances_is_reviewed() {
    let listed = format!("{:?}", errors());
    let names = ["InstanceError", "ConfigurationDifference"];
    assert_all_listed("instance/error.rs", &names, &listed);
}
