//! A host that drops what it forwards, as dockerd sets it up.

use berth_network::Network;

use crate::world::*;

fn check(world: &World, network: &Network) {
    let web = Container::start(network, 1, &["8080:80"]);
    let client = Container::start(network, 2, &[]);
    serve(&web.namespace, 80);
    assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
    assert_eq!(client.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
    assert_eq!(client.namespace.run(|| ask(web.address(), 80)), Ok(client.address().to_string()));
    for container in [web, client] {
        network.disconnect(&container.id).expect("disconnected");
    }
}

#[test]
fn containers_pass_where_iptables_drops() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        assert!(run("iptables", "-P FORWARD DROP").1);
        let before = run("iptables", "-S").0;
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        drop(network);
        // Opening once more does not add the rules once more.
        let network = Network::open(&options(), Vec::new()).expect("open again");
        let rules = run("iptables", "-S FORWARD").0;
        assert_eq!(rules.lines().count(), 5, "{rules}");
        network.remove().expect("removed");
        assert_eq!(run("iptables", "-S").0, before);
    });
}

#[test]
fn rules_of_others_go_to_the_chain_for_them() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        for rule in
            ["-P FORWARD DROP", "-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-A FORWARD -j DOCKER-USER"]
        {
            assert!(run("iptables", rule).1);
        }
        let before = run("iptables", "-S").0;
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        assert_eq!(run("iptables", "-S FORWARD").0, "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n");
        network.remove().expect("removed");
        assert_eq!(run("iptables", "-S").0, before);
    });
}

#[test]
fn an_engine_that_starts_later_is_noticed() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        assert!(run("iptables", "-P FORWARD DROP").1);
        check(world, &network);
    });
}

#[test]
fn another_table_that_drops_is_told() {
    on_a_host(|_| {
        assert!(run("nft", "add table inet strict").1);
        let chain = "add chain inet strict through { type filter hook forward priority 0 ; policy drop ; }";
        assert!(run("nft", chain).1);
        let network = Network::open(&options(), Vec::new()).expect("open");
        assert_eq!(
            network.warnings(),
            [
                "the chain through of the nftables table strict drops forwarded packets; let those of brtest0 pass there"
            ]
        );
    });
}
