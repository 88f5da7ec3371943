//! Events are kept, delivered in order, and those of probes push no other out.

use model::EventAction;

use super::*;
use crate::store::KEPT_EVENTS;

fn actor(id: impl ToString) -> Actor {
    Actor { id: id.to_string(), ..Actor::default() }
}

fn ids<'e>(events: impl IntoIterator<Item = &'e Arc<PublishedEvent>>) -> Vec<String> {
    events.into_iter().map(|event| event.actor.id.clone()).collect()
}

#[test]
fn the_last_events_outlive_a_daemon_that_was_killed() {
    let directory = std::env::temp_dir().join(format!("berth-events-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let open = || {
        let (database, saved) =
            Database::open(&directory.join("state.db"), Default::default()).expect("a database");
        (saved.events.len(), Events::kept_in(Arc::new(database), saved.events))
    };
    let (_, events) = open();
    for number in 0..3000 {
        events.emit(ResourceKind::Container, EventAction::Top, actor(number));
    }
    events.database.as_ref().expect("it").flush().wait_blocking().expect("all is written");
    // Nothing is written at the end: this is how a killed daemon leaves it.
    std::mem::forget(events);
    let (rows, events) = open();
    let expected: Vec<String> = (3000 - KEPT_EVENTS..3000).map(|number| number.to_string()).collect();
    assert_eq!(ids(&events.subscribe().past), expected);
    assert!(rows <= KEPT_EVENTS as usize, "{rows} rows are read");
    events.emit(ResourceKind::Container, EventAction::Top, actor("next"));
    drop(events);
    assert_eq!(ids(&open().1.subscribe().past).last().map(String::as_str), Some("next"));
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn what_probes_do_is_kept_in_its_order_and_pushes_nothing_else_out() {
    let directory = std::env::temp_dir().join(format!("berth-probe-events-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let open = || {
        let (database, saved) =
            Database::open(&directory.join("state.db"), Default::default()).expect("a database");
        Events::kept_in(Arc::new(database), saved.events)
    };
    let events = open();
    let container = Record::new(
        model::ContainerId::from_random([1; 32]),
        "web".to_owned(),
        Digest::from_bytes([0; 32]),
        Timestamp::NEVER,
    );
    let actions = |events: &Events| -> Vec<String> {
        events.subscribe().past.iter().map(|event| event.action.to_string()).collect()
    };
    let mut listener = events.subscribe().live;
    events.emit(ResourceKind::Container, EventAction::Start, actor("a"));
    events.emit_probe(&container, EventAction::ExecStart("probe".to_owned()), &[]);
    events.emit(ResourceKind::Container, EventAction::Die, actor("a"));
    let received: Vec<_> =
        std::iter::from_fn(|| Some(listener.try_recv().ok()?.action.to_string())).collect();
    assert_eq!(received, ["start", "exec_start: probe", "die"]);
    assert_eq!(actions(&events), ["start", "exec_start: probe", "die"]);
    for _ in 0..3000 {
        events.emit_probe(&container, EventAction::ExecDie, &[]);
    }
    events.emit(ResourceKind::Container, EventAction::Destroy, actor("a"));
    let kept = actions(&events);
    assert_eq!(kept.len(), 256 + 3, "the last events of probes, and all others");
    assert_eq!((&kept[0], &kept[1], &kept[258]), (&"start".into(), &"die".into(), &"destroy".into()));
    events.database.as_ref().expect("it").flush().wait_blocking().expect("all is written");
    std::mem::forget(events);
    let next = open();
    assert_eq!(actions(&next), ["start", "die", "destroy"], "the disk has none of them");
    next.emit(ResourceKind::Container, EventAction::Create, actor("b"));
    drop(next);
    assert_eq!(actions(&open()), ["start", "die", "destroy", "create"]);
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn an_event_that_waits_for_its_answer_is_past_at_once_and_live_once_in_order() {
    let events = Events::default();
    let mut listener = events.subscribe().live;
    events.emit(ResourceKind::Container, EventAction::Create, actor("first"));
    let time = Timestamp::now();
    let event =
        Event { kind: ResourceKind::Container, action: EventAction::Destroy, actor: actor("removed"), time };
    let undelivered = events.publish_after_answer(Planned { number: None, event });
    events.emit(ResourceKind::Container, EventAction::Create, actor("last"));
    assert_eq!(ids([&listener.try_recv().expect("the first")]), ["first"]);
    assert!(listener.try_recv().is_err(), "it waits, and what is behind it");
    let Subscription { past, live: mut later } = events.subscribe();
    assert_eq!(ids(&past), ["first", "removed", "last"]);
    let mut ended = events.subscribe().live;
    ended.next = 0;
    assert_eq!(ids(&ended.take_undelivered()), ["removed", "last"]);
    tokio::time::sleep(ANSWER_FIRST * 3).await;
    assert!(listener.try_recv().is_err(), "its request has no answer yet");
    drop(undelivered);
    for expected in ["removed", "last"] {
        assert_eq!(ids([&listener.recv().await.expect("it")]), [expected]);
    }
    events.emit(ResourceKind::Container, EventAction::Create, actor("new"));
    assert_eq!(ids([&later.recv().await.expect("it")]), ["new"], "what was past is not live again");
}

#[test]
fn whoever_sees_a_change_finds_its_event_among_those_of_the_past() {
    let events = Events::default();
    let new = |name: &str| {
        let id = model::ContainerId::from_random([1; 32]);
        Arc::new(Record::new(id, name.to_owned(), Digest::from_bytes([0; 32]), Timestamp::NEVER))
    };
    let change = || {
        assert!(events.history.try_lock().is_err(), "who asks now waits for the event");
        new("changed")
    };
    let told = |record: &Record| (EventAction::Die, vec![("told of", record.name.clone())]);
    let mut listener = events.subscribe().live;
    assert_eq!(events.emit_change(change, told).name, "changed");
    let past = events.subscribe().past;
    assert_eq!(past.iter().map(|event| event.action.word()).collect::<Vec<_>>(), ["die"]);
    assert_eq!(past[0].actor.attributes["told of"], "changed");
    assert_eq!(listener.try_recv().expect("it is delivered").sequence, past[0].sequence);
}
