//! Records of builds, as clients list and read them.

use berth_tests::Engine;
use buildkit_messages::content::{InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse};
use buildkit_messages::history::{BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest};
use http::HeaderMap;

use crate::client::{Control, Order, run};
use crate::offers::Offers;
use crate::streams::{Failure, frame};

const LISTEN: &str = "/moby.buildkit.v1.Control/ListenBuildHistory";
const CONTENT: &str = "/containerd.services.content.v1.Content";

async fn records(control: &Control, filter: &[&str]) -> Result<Vec<BuildHistoryRecord>, Failure> {
    let filter = filter.iter().map(|text| (*text).to_owned()).collect();
    let request = BuildHistoryRequest { early_exit: true, filter, ..BuildHistoryRequest::default() };
    let events: Vec<BuildHistoryEvent> = control.raw(LISTEN, HeaderMap::new(), frame(&request)).await?;
    Ok(events.into_iter().filter_map(|event| event.record).collect())
}

#[test]
fn records_are_listed_by_what_became_of_their_builds() {
    let engine = Engine::start();
    let build = |dockerfile: &str| run(Order::of(Offers::of(dockerfile, &[]), "x").run(engine.socket()));
    build("FROM busybox\nLABEL a=b\n").result.expect("a build");
    build("FROM busybox\nRUN exit 3\n").result.expect_err("a failed build");
    run(async {
        let control = Control::open(&engine.socket()).await;
        for (filter, want) in [
            (&["status==completed"][..], 1),
            (&["status==error"], 1),
            (&["status==running"], 0),
            (&["status==completed", "status==error"], 2),
            (&["ref~=build-,duration<1h"], 2),
            (&["startedAt<1h"], 0),
            (&["startedAt>1h"], 2),
        ] {
            assert_eq!(records(&control, filter).await.expect("records").len(), want, "{filter:?}");
        }
        let (code, text) = records(&control, &["nosuch==1"]).await.expect_err("no condition");
        assert_eq!((code, text.as_str()), (3, "builds cannot be filtered by \"nosuch\""));
        let fields = control.answer_fields(LISTEN, &BuildHistoryRequest::default()).await;
        let now = fields.get("buildkit-current-timestamp").expect("the present moment");
        assert!(now.to_str().expect("a text").ends_with('Z'), "{now:?}");
    });
    engine.forget_builds();
}

#[test]
fn what_is_said_of_a_result_can_be_read_by_its_record() {
    let engine = Engine::start();
    let order =
        Order::of(Offers::of("FROM busybox\nLABEL a=b\n", &[]), "x").option("attest:provenance", "mode=min");
    run(order.run(engine.socket())).result.expect("a build");
    run(async {
        let control = Control::open(&engine.socket()).await;
        let record = records(&control, &[]).await.expect("records").pop().expect("a record");
        let said = record.result.expect("what is said").attestations.pop().expect("a statement");
        assert_eq!(said.media_type, "application/vnd.in-toto+json");
        assert_eq!(said.annotations["in-toto.io/predicate-type"], "https://slsa.dev/provenance/v0.2");
        let digest = said.digest.clone();
        let info: InfoResponse = control
            .call(&format!("{CONTENT}/Info"), &InfoRequest { digest: digest.clone() })
            .await
            .expect("there");
        assert_eq!(info.info.expect("a description").size, said.size);
        let read = async |offset: i64, size: i64| {
            let request = ReadContentRequest { digest: digest.clone(), offset, size };
            let method = format!("{CONTENT}/Read");
            let pieces =
                control.raw::<ReadContentResponse>(&method, HeaderMap::new(), frame(&request)).await?;
            Ok::<_, Failure>(pieces.iter().flat_map(|piece| piece.data.to_vec()).collect::<Vec<u8>>())
        };
        let whole = read(0, 0).await.expect("a document");
        let document: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
        assert!(
            document["materials"][0]["uri"].as_str().is_some_and(|uri| uri.starts_with("pkg:docker/busybox"))
        );
        assert_eq!(read(2, 5).await.expect("a part"), &whole[2..7]);
        assert_eq!(read(said.size, 0).await.expect("nothing"), b"");
        for (offset, size) in [(-1, 0), (said.size + 1, 0), (0, -1)] {
            assert_eq!(read(offset, size).await.expect_err("outside").0, 3, "{offset} {size}");
        }
        let unknown = InfoRequest { digest: format!("sha256:{}", "0".repeat(64)) };
        let missing = control.call::<InfoResponse>(&format!("{CONTENT}/Info"), &unknown).await;
        assert_eq!(missing.expect_err("nothing").0, 5);
    });
    engine.forget_builds();
}

#[test]
fn output_of_builds_can_be_read_as_long_as_their_records() {
    let engine = Engine::start();
    let build = |word: &str| {
        let dockerfile = format!("FROM busybox\nRUN echo {word}\n");
        run(Order::of(Offers::of(&dockerfile, &[]), "x").run(engine.socket())).result.expect("a build");
    };
    build("first");
    (0..6).for_each(|number| build(&format!("later-{number}")));
    run(async {
        let control = Control::open(&engine.socket()).await;
        let record = records(&control, &[])
            .await
            .expect("records")
            .into_iter()
            .min_by_key(|record| record.created.map(|created| (created.seconds, created.nanoseconds)));
        let progress = control.status(&record.expect("a record").reference).await.expect("progress");
        let logs = progress.iter().flat_map(|status| &status.logs);
        let output: Vec<u8> = logs.flat_map(|log| log.message.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&output), "first\n");
    });
    engine.forget_builds();
}
