//! Registries that are away while a layer is downloaded.

use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{Content, Fake};
use super::images::{Stored, gzip, noise, reference, tar};
use super::server::Reply;
use super::*;
use crate::store::digest_of;

/// More failures than a single request is tried again after.
const FAILURES: usize = 5;

fn content() -> (Content, String) {
    let mut content = Content::new();
    let layer = tar("a", &noise(6, 100_000));
    content.image("v1", std::slice::from_ref(&layer));
    (content, digest_of(&gzip(&layer)).to_string())
}

/// An address without a listener.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/x", listener.local_addr().unwrap())
}

#[test]
fn a_layer_is_waited_for_longer_than_other_answers() {
    let refused = Reply::new(307).with("Location", nowhere());
    for failure in [refused, Reply::new(503), Reply { cut_after: Some(0), ..Reply::new(200) }] {
        let (content, blob) = content();
        let count = AtomicUsize::new(0);
        let end = blob.clone();
        let fake = Fake::start(content, move |seen, reply| {
            let fails = seen.path.ends_with(&end) && count.fetch_add(1, Ordering::SeqCst) < FAILURES;
            if !fails {
                reply
            } else if failure.cut_after.is_some() {
                Reply { cut_after: Some(0), ..reply }
            } else {
                failure.clone()
            }
        });
        let there = Stored::new();
        there.pull(&fake.name("v1")).unwrap();
        assert_eq!(fake.asked(&blob), FAILURES + 1);
    }
}

#[test]
fn what_lasts_is_not_waited_for() {
    let (content, blob) = content();
    let end = blob.clone();
    let fake = Fake::start(
        content,
        move |seen, reply| if seen.path.ends_with(&end) { Reply::new(404) } else { reply },
    );
    let error = Stored::new().pull(&fake.name("v1")).unwrap_err();
    assert!(matches!(error, RegistryError::Status { status: 404, .. }), "{error}");
    assert_eq!(fake.asked(&blob), 1);
}

#[test]
fn who_leaves_waits_for_no_further_attempt() {
    let (content, blob) = content();
    let fake = Fake::start(
        content,
        move |seen, reply| if seen.path.ends_with(&blob) { Reply::new(503) } else { reply },
    );
    let hour = Duration::from_secs(3600);
    let download_retry = Retry { attempts: 9, first_pause: hour, longest_pause: hour };
    let client = Client::new(RegistrySettings { download_retry, ..quick() });
    let (there, name, cancellation) = (Stored::new(), reference(&fake.name("v1")), Cancellation::new());
    let request = PullRequest {
        store: &there.store,
        reference: &name,
        credentials: None,
        platform: None,
        names: PulledNames::Tag,
    };
    let said = Mutex::new(Vec::new());
    let leave = |message: Message| {
        if message.status.starts_with("Retrying") {
            said.lock().unwrap().push(message.status);
            cancellation.cancel();
        }
    };
    let outcome = client.pull(&request, &leave, &cancellation);
    assert!(matches!(outcome, Err(RegistryError::Cancelled)), "{outcome:?}");
    assert_eq!(*said.lock().unwrap(), ["Retrying in 3600 seconds"]);
}
