//! The end of a container's run.

use model::{Digest, ProcessReference, Timestamp};
use shim_protocol::RunDirectory;

use super::execs::Exec;
use super::saved_exec::ExecConfig;
use super::*;

#[tokio::test]
async fn an_exec_of_an_earlier_run_has_neither_the_next_ones_shim_nor_a_row() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let database = Arc::new(Database::open(&path, Default::default()).expect("a database").0);
    let id = ContainerId::from_random([1; 32]);
    let record = Record::new(id.clone(), "name".to_owned(), Digest::from_bytes([0; 32]), Timestamp::now());
    let container = Container::new(Arc::new(record), Arc::clone(&database), Purpose::Client);
    // This process stands for the shim's.
    let pid = std::process::id();
    let start_time = sys::process::start_time(pid).expect("it runs");
    let shim = serde_json::to_string(&ProcessReference { pid, start_time }).expect("JSON");
    let run = RunDirectory::at(directory.path().to_owned());
    std::fs::write(run.processes(), format!(r#"{{"shim":{shim},"init":null,"cgroups":[]}}"#))
        .expect("a file");
    let (shim, _notices) = Shim::adopt(&run).expect("its process runs");
    container.set_shim(Some(shim));

    let earlier = ExecId::from_random([2; 32]);
    let exec = container.execs.insert(Exec::new(earlier.clone(), id.clone(), ExecConfig::default()));
    assert!(exec.take() && container.shim_of(&earlier).is_some());
    container.execs.save(&earlier, &database);
    assert_eq!(container.execs.take_all(), std::slice::from_ref(&earlier));
    database.keep(vec![Row::NoExecs(id)]).forget();
    assert!(container.shim_of(&earlier).is_none(), "the next run's");
    container.execs.save(&earlier, &database);
    assert!(!container.execs.note_end(&earlier, 0, &database));
    database.flush().wait().await.expect("all is written");
    drop((container, database));
    let saved = Database::open(&path, Default::default()).expect("a database").1;
    assert_eq!(saved.execs.len(), 0);
}
