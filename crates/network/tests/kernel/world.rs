//! A host, the outside world and containers, as network namespaces.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use berth_network::inside::Configurer;
use berth_network::{
    BridgeChoice, Endpoint, Error, HostListing, INTERFACE_NAME, Network, Options, Request, SourceCheck,
};
use model::ContainerId;

/// The host's address towards the outside, and another host's.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
pub(crate) const BRIDGE: &str = "brtest0";
/// That of a further network, as clients make them.
pub(crate) const SECOND: &str = "brtest1";
/// How long an answer may take that must come.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long is waited for an answer that must not come.
const MOMENT: Duration = Duration::from_millis(400);

/// Runs a test in a fresh host. Panics on failure, as the test itself would.
pub(crate) fn on_a_host(test: impl FnOnce(&World) + Send + 'static) {
    let run = || {
        sys::network_namespace::unshare().expect("these tests need root");
        let world = World::new();
        test(&world);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// The host that the calling thread is, and what is around it.
pub(crate) struct World {
    pub(crate) outside: Namespace,
}

impl World {
    fn new() -> Self {
        let outside = Namespace::new();
        ip("link set lo up");
        // A new namespace takes this over from the machine.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("root may write");
        let inside = format!("/proc/{}/fd/{}", std::process::id(), raw(outside.as_fd()));
        ip(&format!("link add up0 type veth peer name eth0 netns {inside}"));
        ip(&format!("addr add {HOST}/24 dev up0"));
        ip("link set up0 up");
        outside.run(|| {
            ip("link set lo up");
            ip(&format!("addr add {OUTSIDE}/24 dev eth0"));
            ip("link set eth0 up");
        });
        ip(&format!("route add default via {OUTSIDE}"));
        Self { outside }
    }
}

fn raw(descriptor: BorrowedFd<'_>) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(&descriptor)
}

/// Opens a further network as a daemon does that has just started.
pub(crate) fn open_beside(
    default: &Network,
    options: &Options,
    known: Vec<Endpoint>,
) -> Result<Network, Error> {
    default.open_beside(options, known, &HostListing::read()?)
}

/// Options with a bridge of the tests' own.
pub(crate) fn options() -> Options {
    Options { bridge: BridgeChoice::Own { name: BRIDGE.to_owned(), address: None }, ..Options::default() }
}

/// A network namespace.
pub(crate) struct Namespace(File);

impl Namespace {
    pub(crate) fn new() -> Self {
        let make = || {
            sys::network_namespace::unshare().expect("root may unshare");
            File::open("/proc/thread-self/ns/net").expect("the namespace's file")
        };
        Self(std::thread::spawn(make).join().expect("the thread ends well"))
    }

    /// The one that the calling thread is in.
    pub(crate) fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/ns/net").expect("the namespace's file"))
    }

    /// Runs something inside and waits for it.
    pub(crate) fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let run = || {
                sys::network_namespace::join(self.0.as_fd()).expect("root may join");
                action()
            };
            match scope.spawn(run).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts something inside.
    pub(crate) fn spawn(&self, action: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let file = self.0.try_clone().expect("a copy");
        std::thread::spawn(move || {
            sys::network_namespace::join(file.as_fd()).expect("root may join");
            action();
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A container: its namespace and endpoint.
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    pub(crate) namespace: Namespace,
    pub(crate) endpoint: Endpoint,
}

impl Container {
    /// Connects a new container that publishes these ports (`8080:80/tcp`, `127.0.0.1:8080:80`).
    pub(crate) fn start(network: &Network, number: u8, publish: &[&str]) -> Self {
        Self::start_with(network, request(number, publish))
    }

    /// Connects a new container.
    pub(crate) fn start_with(network: &Network, request: Request) -> Self {
        let namespace = Namespace::new();
        let endpoint = network.reserve(&request).expect("reserved");
        network.connect(&endpoint.container, namespace.as_fd(), Configurer::Init).expect("connected");
        configure(&namespace, &endpoint);
        Self { id: request.container, namespace, endpoint }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.endpoint.ipv4.expect("an address of IPv4").address
    }

    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.endpoint.ipv4.expect("an address of IPv4").gateway
    }

    pub(crate) fn ipv6(&self) -> Ipv6Addr {
        self.endpoint.ipv6.expect("an address of IPv6").address
    }
}

/// Does what a container's init does with its interface.
pub(crate) fn configure(namespace: &Namespace, endpoint: &Endpoint) {
    configure_without_route(namespace, endpoint);
    if let Some(gateway) = endpoint.default_gateway() {
        namespace.run(|| ip(&format!("route add default via {gateway}")));
    }
    if let Some(gateway) = endpoint.ipv6_default_gateway() {
        let ipv6 = Some((endpoint.interface_name.as_str(), gateway));
        let routes = berth_network::inside::DefaultRoutes { ipv4: None, ipv6 };
        berth_network::inside::add_default_routes(namespace.as_fd(), routes).expect("a route");
    }
}

/// The same for a further interface.
pub(crate) fn configure_without_route(namespace: &Namespace, endpoint: &Endpoint) {
    let interface = endpoint.interface();
    namespace.run(|| {
        ip("link set lo up");
        if let Some(ipv4) = interface.ipv4 {
            ip(&format!("addr add {}/{} dev {}", ipv4.address, ipv4.prefix_length, interface.name));
        }
        ip(&format!("link set {} up", interface.name));
    });
}

/// The id that is this byte 32 times.
pub(crate) fn id(number: u8) -> ContainerId {
    ContainerId::from_random([number; 32])
}

/// A container's request, with ports as the client spells them.
pub(crate) fn request(number: u8, publish: &[&str]) -> Request {
    request_with(number, publish, SourceCheck::Strict)
}

/// The same of a container that may be more or less.
pub(crate) fn request_with(number: u8, publish: &[&str], source_check: SourceCheck) -> Request {
    let mut bindings = model::PortBindings::new();
    let mut exposed = std::collections::BTreeSet::new();
    for spelled in publish {
        let (host, port) = spelled.rsplit_once(':').expect("a colon");
        let (ip, host_port) = host.rsplit_once(':').unwrap_or(("", host));
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        let host_port = model::Spelled::parse(host_port).expect("a port of the host");
        let binding = model::PortBinding { host_ip: ip.to_owned().into(), host_port };
        let port = port.parse::<berth_network::port::Port>().expect("a port");
        exposed.insert(port);
        let port = model::BoundPort::Port(port).into();
        bindings.entry(port).or_default().get_or_insert_default().push(binding);
    }
    let ports = berth_network::port::plan(&exposed, &bindings, false).expect("a plan");
    Request {
        address: None,
        ipv6_address: None,
        container: id(number),
        mac: None,
        interface_name: INTERFACE_NAME.to_owned(),
        source_check,
        ports,
    }
}

/// Runs ip(8) in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let output = run("ip", arguments);
    assert!(output.1, "ip {arguments}: {}", output.0);
}

/// Runs a program with these arguments; returns its output and whether it succeeded.
pub(crate) fn run(program: &str, arguments: &str) -> (String, bool) {
    let output = Command::new(program).args(arguments.split_whitespace()).output();
    let output = output.unwrap_or_else(|error| panic!("these tests need {program}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.success())
}

/// Serves TCP on all addresses of the namespace: sends each client its address.
pub(crate) fn serve(namespace: &Namespace, port: u16) {
    let (ready, wait) = std::sync::mpsc::channel();
    namespace.spawn(move || {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a listener");
        ready.send(()).expect("somebody waits");
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let from = client.peer_addr().expect("an address");
            // The client may be gone.
            let _ = write!(client, "{}", from.ip().to_canonical());
        }
    });
    wait.recv().expect("served");
}

/// Serves UDP on all addresses of the namespace: answers with `name` and the client's address.
pub(crate) fn serve_udp(namespace: &Namespace, port: u16, name: &'static str) {
    let (ready, wait) = std::sync::mpsc::channel();
    namespace.spawn(move || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a socket");
        ready.send(()).expect("somebody waits");
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(format!("{name} {}", from.ip()).as_bytes(), from);
        }
    });
    wait.recv().expect("served");
}

/// Queries a TCP server from the calling thread's namespace: the address it saw, or the error.
pub(crate) fn ask(address: impl Into<IpAddr>, port: u16) -> Result<String, String> {
    let address = SocketAddr::new(address.into(), port);
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer)
}

/// Whether a server is reached from the calling thread's namespace. One that should be is waited for, however slow the
/// machine is.
pub(crate) fn reaches(address: impl Into<IpAddr>, port: u16, expected: bool) -> bool {
    let address = SocketAddr::new(address.into(), port);
    TcpStream::connect_timeout(&address, if expected { TIMEOUT } else { MOMENT }).is_ok()
}

/// Whether nothing answers at once: refused or silent.
pub(crate) fn unreachable(address: impl Into<IpAddr>, port: u16) -> bool {
    !reaches(address, port, false)
}

/// Queries a UDP server from the socket.
pub(crate) fn ask_udp(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> Result<String, String> {
    ask_udp_within(socket, address, port, TIMEOUT)
}

/// Whether no UDP server answers at once.
pub(crate) fn unanswered(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> bool {
    ask_udp_within(socket, address, port, MOMENT).is_err()
}

fn ask_udp_within(
    socket: &UdpSocket,
    address: Ipv4Addr,
    port: u16,
    limit: Duration,
) -> Result<String, String> {
    socket.set_read_timeout(Some(limit)).expect("a timeout");
    socket.send_to(b"x", (address, port)).map_err(|error| error.to_string())?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
