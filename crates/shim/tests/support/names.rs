//! A container with a name service, and a client of it within the container's network namespace.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::{A, Aaaa, AllRecordData};
use shim_protocol::Notice;
use shim_protocol::names::{
    Link, NameService, NamedEndpoint, NamesOfNetwork, NetworkNames, Upstream, UpstreamNamespace,
    replace_names_file,
};

use super::{ContainerSpec, Daemon, Place, Request, TIMEOUT};

/// Where the name service is.
pub(crate) const SERVER: &str = "127.0.0.11:53";

/// A running container whose shim has a name service.
pub(crate) struct Named {
    pub(crate) place: Place,
    pub(crate) daemon: Daemon,
    pub(crate) init: u32,
}

impl Named {
    /// Starts a container that runs a script.
    pub(crate) fn start(script: &str, service: impl FnOnce(&Place) -> NameService) -> Self {
        Self::start_as(script, |_| {}, service)
    }

    /// Starts one whose specification is changed before.
    pub(crate) fn start_as(
        script: &str,
        change: impl FnOnce(&mut ContainerSpec),
        service: impl FnOnce(&Place) -> NameService,
    ) -> Self {
        let place = Place::new();
        let service = service(&place);
        let mut spec = place.spec(script);
        change(&mut spec);
        let mut daemon = Daemon::spawn(&place, &spec);
        let created = daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
        let Notice::Created { init, .. } = created else { unreachable!() };
        daemon.ask(Request::Names(Some(Box::new(service))), None).unwrap();
        daemon.ask(Request::Start { interface: None }, None).unwrap();
        daemon.wait(|notice| matches!(notice, Notice::Started { .. }));
        Self { place, daemon, init: init.pid }
    }

    /// One that sleeps.
    pub(crate) fn sleeping(service: impl FnOnce(&Place) -> NameService) -> Self {
        Self::start("exec sleep 1000", service)
    }

    /// Changes its name service.
    pub(crate) fn set(&mut self, service: Option<NameService>) {
        self.daemon.ask(Request::Names(service.map(Box::new)), None).unwrap();
    }

    /// Does something in the container's network namespace.
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(self.init, act)
    }

    /// Queries over UDP.
    pub(crate) fn ask(&self, name: &str, kind: Rtype) -> Reply {
        self.ask_as(&Ask { name, kind, ..Ask::default() })
    }

    /// Queries IPv4 addresses over UDP; in order.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let reply = self.ask(name, Rtype::A);
        let mut addresses = reply.addresses();
        assert_eq!((reply.code, addresses.is_empty()), (Rcode::NOERROR, false), "{name}");
        addresses.sort();
        addresses
    }

    pub(crate) fn ask_as(&self, ask: &Ask<'_>) -> Reply {
        let packet = ask.packet();
        let answer = self.within(|| if ask.connection { over_tcp(&packet) } else { over_udp(&packet) });
        Reply::read(&packet, &answer)
    }

    pub(crate) fn end(mut self) {
        self.daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
        self.daemon.finish();
    }
}

/// Does something in the network namespace of a process.
pub(crate) fn within<T: Send>(pid: u32, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            sys::network_namespace::join(namespace.as_fd()).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// A question and how it is sent.
pub(crate) struct Ask<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Rtype,
    /// The size in EDNS.
    pub(crate) size: Option<u16>,
    /// Over TCP.
    pub(crate) connection: bool,
    pub(crate) number: u16,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { name: "", kind: Rtype::A, size: None, connection: false, number: 0x1234 }
    }
}

impl Ask<'_> {
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.number);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push((name(self.name), self.kind, Class::IN)).unwrap();
        let mut additional = question.additional();
        if let Some(size) = self.size {
            additional
                .opt(|opt| {
                    opt.set_udp_payload_size(size);
                    Ok(())
                })
                .unwrap();
        }
        additional.finish()
    }
}

pub(crate) fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().unwrap()
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: Rcode,
    pub(crate) is_cut: bool,
    pub(crate) has_opt: bool,
    pub(crate) length: usize,
    /// Owners and data as text.
    pub(crate) records: Vec<(String, String)>,
}

impl Reply {
    pub(crate) fn read(query: &[u8], answer: &[u8]) -> Self {
        let reply = Message::from_slice(answer).unwrap();
        assert!(reply.is_answer(Message::from_slice(query).unwrap()), "{reply:?}");
        assert!(reply.header().ra());
        let records = reply.answer().unwrap().map(|record| {
            let record = record.unwrap();
            let record = record.into_record::<AllRecordData<_, _>>().unwrap().unwrap();
            (record.owner().to_string(), record.data().to_string())
        });
        Self {
            code: reply.header().rcode(),
            is_cut: reply.header().tc(),
            has_opt: reply.opt().is_some(),
            length: answer.len(),
            records: records.collect(),
        }
    }

    pub(crate) fn data(&self) -> Vec<&str> {
        self.records.iter().map(|(_, data)| data.as_str()).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.data().iter().map(|data| data.parse().unwrap()).collect()
    }
}

/// A socket of UDP in the present namespace, connected to the name service.
pub(crate) fn datagrams() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

pub(crate) fn connection() -> TcpStream {
    let stream = TcpStream::connect(SERVER).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn over_udp(packet: &[u8]) -> Vec<u8> {
    let socket = datagrams();
    socket.send(packet).unwrap();
    received(&socket)
}

pub(crate) fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut answer = vec![0; 65_536];
    let length = socket.recv(&mut answer).unwrap();
    answer.truncate(length);
    answer
}

fn over_tcp(packet: &[u8]) -> Vec<u8> {
    let mut stream = connection();
    send_framed(&mut stream, packet);
    receive_framed(&mut stream)
}

pub(crate) fn send_framed(stream: &mut impl Write, packet: &[u8]) {
    let length = u16::try_from(packet.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), packet].concat()).unwrap();
}

pub(crate) fn receive_framed(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Writes a network's names; returns the file.
pub(crate) fn write_names(place: &Place, network: &str, containers: &[(&str, &[&str], &[&str])]) -> PathBuf {
    let mut names = NetworkNames::new(network);
    for (container, other_names, addresses) in containers {
        names.add(&NamedEndpoint {
            name: (*container).to_owned(),
            other_names: other_names.iter().map(|&name| name.to_owned()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        });
    }
    let path = shim_protocol::names::names_file(place.directory.path(), network);
    replace_names_file(&path, &names.content()).unwrap();
    path
}

/// A service with networks, whose files these are, and links of the first.
pub(crate) fn service(files: &[&PathBuf], links: &[(&str, &str)], upstream: &[Upstream]) -> NameService {
    let link = |(alias, container): &(&str, &str)| Link {
        alias: (*alias).to_owned(),
        container: (*container).to_owned(),
    };
    let network = |(index, file): (usize, &&PathBuf)| NamesOfNetwork {
        file: (*file).clone(),
        links: if index == 0 { links.iter().map(link).collect() } else { Vec::new() },
    };
    NameService {
        networks: files.iter().enumerate().map(network).collect(),
        upstream: upstream.to_vec(),
        keeps_single_labels: false,
    }
}

/// A server at an address in the container's namespace, which is queried there.
pub(crate) fn in_container(address: &str) -> Upstream {
    Upstream { address: address.parse().unwrap(), namespace: UpstreamNamespace::Container }
}

/// What an upstream server does with a query: the packets that it sends.
pub(crate) type Behaviour = fn(&Message<[u8]>) -> Vec<Vec<u8>>;

/// An upstream server of the tests, at port 53 of an address on some loopback, over UDP and TCP.
#[derive(Clone, Default)]
pub(crate) struct Server {
    /// The queries that came: number, port, and whether over TCP.
    pub(crate) asked: Arc<Mutex<Vec<(u16, u16, bool)>>>,
}

impl Server {
    /// Serves in the present network namespace until the test's process ends.
    pub(crate) fn serve(address: &str, behaviour: Behaviour) -> Self {
        let server = Self::default();
        let address = SocketAddr::new(address.parse().unwrap(), 53);
        let socket = UdpSocket::bind(address).unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        let noting = server.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let query = Message::from_slice(&buffer[..length]).unwrap();
                noting.note(query, client, false);
                for packet in behaviour(query) {
                    let _ = socket.send_to(&packet, client);
                }
            }
        });
        let noting = server.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, client)) = listener.accept() {
                let packet = receive_framed(&mut stream);
                let query = Message::from_slice(&packet).unwrap();
                noting.note(query, client, true);
                for packet in behaviour(query) {
                    send_framed(&mut stream, &packet);
                }
            }
        });
        server
    }

    fn note(&self, query: &Message<[u8]>, client: SocketAddr, connection: bool) {
        self.asked.lock().unwrap().push((query.header().id(), client.port(), connection));
    }

    /// How many queries came.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// An answer with these addresses.
pub(crate) fn answer(query: &Message<[u8]>, code: Rcode, addresses: &[IpAddr]) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().start_answer(query, code).unwrap();
    builder.header_mut().set_ra(true);
    let owner = query.sole_question().unwrap().qname().to_string();
    for address in addresses {
        match address {
            IpAddr::V4(address) => builder.push((name(&owner), 60, A::new(*address))).unwrap(),
            IpAddr::V6(address) => builder.push((name(&owner), 60, Aaaa::new(*address))).unwrap(),
        }
    }
    builder.finish()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
