//! The cache of builds stays within its limit by itself.

use berth_tests::Engine;
use berth_tests::wait::until;
use serde_json::Value;

use crate::client::{Order, run};
use crate::offers::Offers;

fn kept(engine: &Engine) -> Vec<Value> {
    let usage = engine.at("1.55").get("/system/df?type=build-cache&verbose=1").expect(200).json();
    usage["BuildCacheUsage"]["Items"].as_array().cloned().unwrap_or_default()
}

#[test]
fn what_is_beyond_the_limit_goes_after_a_build() {
    let engine = Engine::start_with_flags(&["--build-cache-limit=1"]);
    let dockerfile = "FROM busybox AS large\nRUN head -c 3000000 /dev/urandom > /large\nFROM busybox\n\
                      COPY --from=large /etc/hostname /small\n";
    let order =
        Order::of(Offers::of(dockerfile, &[]), "limited").exporters(&[("moby", &[("name", "limited")])]);
    run(order.run(engine.socket())).result.expect("a build");
    until("the large step to go", || {
        let sizes = kept(&engine).into_iter().map(|record| record["Size"].as_u64().unwrap_or_default());
        (sizes.sum::<u64>() <= 1 << 20).then_some(())
    });
    assert_eq!(engine.output_of("limited", "ls /small"), "/small\n", "the image stays");
    engine.forget_builds();
}
