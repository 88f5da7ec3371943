//! Files of which this release cannot use all: damaged ones, and those of later releases.

use super::super::*;
use super::{Directory, record};

#[test]
fn rows_may_be_lost_as_long_as_a_damaged_database_lies_beside() {
    let directory = Directory::new();
    assert!(!directory.saved().is_lost);
    let aside = directory.0.join("state.db.damaged-1");
    std::fs::write(&aside, "").expect("a file");
    for _ in 0..2 {
        assert!(directory.saved().is_lost, "an earlier daemon may have ended before it had found them");
    }
    std::fs::remove_file(&aside).expect("deleted");
    assert!(!directory.saved().is_lost);
}

#[test]
fn a_damaged_database_is_replaced_after_an_earlier_attempt_too() {
    let directory = Directory::new();
    let (database, _) = directory.open();
    let rows = (0..40).map(|number| Row::Container(record(number))).collect();
    database.write(rows, Durability::PowerLoss).wait_blocking().expect("written");
    drop(database);
    directory.sql("PRAGMA wal_checkpoint(TRUNCATE);");
    let mut bytes = std::fs::read(directory.database()).expect("its bytes");
    let root: usize = directory
        .text("SELECT CAST(rootpage AS TEXT) FROM sqlite_master WHERE name = 'volumes'")
        .parse()
        .expect("a page");
    bytes[(root - 1) * 4096..root * 4096].fill(0xa5);
    std::fs::write(directory.database(), bytes).expect("damaged");
    std::fs::write(directory.0.join("state.db.new"), "half of one").expect("a file");
    for _ in 0..2 {
        let saved = directory.saved();
        assert!(saved.is_lost);
        assert_eq!(saved.containers.len(), 40);
        assert!(!directory.0.join("state.db.new").exists());
    }
}

#[test]
fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let directory = Directory::new();
    drop(directory.open());
    directory.sql("PRAGMA user_version = 7;");
    let refused = Database::open(&directory.database(), Faults::None).err().expect("a refusal").to_string();
    assert!(
        refused.ends_with("has version 7 and was written by a later berth: this one knows version 4"),
        "{refused}"
    );
    assert_eq!(directory.text("PRAGMA user_version"), "7");
}
