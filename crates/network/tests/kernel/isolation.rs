//! `--icc=false`: containers reach each other only by exceptions and published ports.

use berth_network::{Error, LinkException, LinkedPort, Network, Options};

use crate::world::*;

fn isolated() -> Options {
    Options { inter_container_communication: false, ..options() }
}

/// The port 80 of a container.
fn port_of(container: &Container) -> LinkedPort {
    LinkedPort { container: container.id.clone(), port: "80/tcp".parse().expect("a port") }
}

/// The exceptions that the kernel has.
fn openings() -> String {
    run("nft", "list set ip berth-brtest0 openings").0
}

#[test]
fn only_link_exceptions_lead_from_container_to_container() {
    on_a_host(|world| {
        let network = Network::open(&isolated(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["8080:80"]);
        let client = Container::start(&network, 2, &[]);
        let other = Container::start(&network, 3, &[]);
        serve(&web.namespace, 80);
        serve(&web.namespace, 81);
        let (address, gateway) = (web.address(), web.gateway());
        assert!(client.namespace.run(|| unreachable(address, 80)));
        let exception = LinkException {
            from: client.address().into(),
            to: address.into(),
            port: "80/tcp".parse().expect("a port"),
        };
        network.open_link(&client.id, &[port_of(&web), port_of(&web)]).expect("allowed");
        network.open_link(&client.id, &[port_of(&web)]).expect("allowed");
        assert_eq!(network.endpoint(&client.id).expect("an endpoint").exceptions, [exception]);
        assert_eq!(client.namespace.run(|| ask(address, 80)), Ok(client.address().to_string()));
        assert!(client.namespace.run(|| unreachable(address, 81)), "another port");
        assert!(other.namespace.run(|| unreachable(address, 80)), "another container");
        assert_eq!(other.namespace.run(|| ask(gateway, 8080)), Ok(gateway.to_string()), "published");
        assert_eq!(web.namespace.run(|| ask(gateway, 8080)), Ok(gateway.to_string()), "by itself");
        assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
        assert_eq!(ask(std::net::Ipv4Addr::LOCALHOST, 8080), Ok(gateway.to_string()));
        assert_eq!(ask(address, 81), Ok(gateway.to_string()), "the host reaches all");
        serve(&world.outside, 80);
        assert_eq!(client.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
        network.close_link(&client.id, &web.id).expect("forbidden");
        assert!(client.namespace.run(|| unreachable(address, 80)));
        assert_eq!(network.endpoint(&client.id).expect("an endpoint").exceptions, []);
    });
}

#[test]
fn link_exceptions_survive_the_daemon_and_go_with_either_container() {
    on_a_host(|_| {
        let network = Network::open(&isolated(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &[]);
        let client = Container::start(&network, 2, &[]);
        serve(&web.namespace, 80);
        let address = web.address();
        network.open_link(&client.id, &[port_of(&web)]).expect("allowed");
        let known = [&web, &client].map(|container| network.endpoint(&container.id).expect("an endpoint"));
        drop(network);
        let network = Network::open(&isolated(), known.to_vec()).expect("open again");
        assert_eq!(client.namespace.run(|| ask(address, 80)), Ok(client.address().to_string()));
        network.disconnect(&web.id).expect("disconnected");
        assert_eq!(network.endpoint(&client.id).expect("an endpoint").exceptions, []);
        let rules = openings();
        assert!(!rules.contains(&address.to_string()), "{rules}");
    });
}

#[test]
fn no_exception_stays_of_a_link_that_opens_while_either_container_goes() {
    on_a_host(|_| {
        let network = &Network::open(&isolated(), Vec::new()).expect("open");
        for number in 0..100 {
            let (web, client) = (Container::start(network, 1, &[]), Container::start(network, 2, &[]));
            let going = if number % 2 == 0 { &client } else { &web };
            std::thread::scope(|scope| {
                let opened = scope.spawn(|| network.open_link(&client.id, &[port_of(&web)]));
                network.disconnect(&going.id).expect("disconnected");
                let opened = opened.join().expect("a thread");
                assert!(matches!(opened, Ok(()) | Err(Error::NotConnected(_))), "{opened:?}");
            });
            let rules = openings();
            assert!(!rules.contains(&going.address().to_string()), "{number}: {rules}");
            network.disconnect(&web.id).expect("disconnected");
            network.disconnect(&client.id).expect("disconnected");
        }
        let gone = Container::start(network, 1, &[]);
        let client = Container::start(network, 2, &[]);
        network.disconnect(&gone.id).expect("disconnected");
        network.open_link(&client.id, &[port_of(&gone)]).expect("nothing to open");
        assert_eq!(network.endpoint(&client.id).expect("an endpoint").exceptions, []);
    });
}
