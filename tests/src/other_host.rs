//! Another host beside the engine's: a network namespace with a cable to it, and sockets in any namespace.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::host::in_network_of;
use crate::namespaces::new_network;
use crate::{Engine, wait};

/// How long a client waits for an answer that must come: longer than a busy machine stands still.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Another host on the network of the engine's host, which reaches everything else through it.
#[derive(Debug)]
pub struct OtherHost(Child);

impl OtherHost {
    /// The address of the engine's host on the cable.
    pub const ENGINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
    /// The address of the other host.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

    /// Puts a host beside the engine's.
    ///
    /// # Panics
    /// When ip(8) fails.
    #[must_use]
    pub fn beside(engine: &Engine) -> Self {
        Self::beside_process(engine.network_pid())
    }

    /// The addresses of IPv6 of both, which [`Self::speak_ipv6`] gives them.
    pub const IPV6: [Ipv6Addr; 2] =
        [Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2)];

    /// Gives the engine's host and this one addresses of IPv6, and this one a route to the unique local addresses
    /// behind the engine's.
    ///
    /// # Panics
    /// When ip(8) fails.
    pub fn speak_ipv6(&self, engine: &Engine) {
        let [engines, own] = Self::IPV6;
        let cable =
            format!("ip -6 addr add {engines}/64 dev cable0 nodad; ip -6 route add default via {own}");
        let _ = in_network_of(engine.network_pid(), &["sh", "-ec", &cable]);
        let own = format!("ip -6 addr add {own}/64 dev eth0 nodad; ip -6 route add fc00::/7 via {engines}");
        let _ = in_network_of(self.pid(), &["sh", "-ec", &own]);
    }

    /// Puts a host beside the network namespace of a process.
    ///
    /// # Panics
    /// When ip(8) fails.
    #[must_use]
    pub fn beside_process(pid: u32) -> Self {
        let host = Self(new_network(false, None));
        let cable = format!(
            "ip link add cable0 type veth peer name eth0 netns {} && ip addr add {}/24 dev cable0 && \
             ip link set cable0 up",
            host.pid(),
            Self::ENGINE
        );
        let _ = in_network_of(pid, &["sh", "-ec", &cable]);
        let own = format!("ip addr add {}/24 dev eth0; ip link set eth0 up", Self::ADDRESS);
        let _ = in_network_of(host.pid(), &["sh", "-ec", &own]);
        let route = format!("ip route add default via {}", Self::ADDRESS);
        let _ = in_network_of(pid, &["sh", "-ec", &route]);
        host
    }

    /// A process in its network namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// A network namespace of its own, with nothing but a loopback.
#[derive(Debug)]
pub struct Namespace(Child);

impl Namespace {
    /// Makes one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes something on the host")]
    pub fn new() -> Self {
        Self(new_network(false, None))
    }

    /// A process in it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for OtherHost {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs something in the network namespace of a process, in a thread of its own.
///
/// # Panics
/// When the process is gone, or the action panics.
pub fn inside<T: Send>(pid: u32, action: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let run = || {
            enter(pid);
            action()
        };
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn enter(pid: u32) {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("the network namespace");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may join");
}

/// Servers of TCP and UDP in the network namespace of a process that send each client the address they see of
/// it, behind their own name. Dropping it ends them.
#[derive(Debug)]
pub struct Servers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Starts a server of each protocol at this port.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(pid: u32, port: u16, name: &'static str) -> Self {
        let any = (Ipv6Addr::UNSPECIFIED, port);
        let (tcp, udp) = inside(pid, || {
            (TcpListener::bind(any).expect("a listener"), UdpSocket::bind(any).expect("a socket"))
        });
        tcp.set_nonblocking(true).expect("a listener that does not wait");
        udp.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket that waits a while");
        let stop = Arc::new(AtomicBool::new(false));
        let (first, second) = (Arc::clone(&stop), Arc::clone(&stop));
        let threads = vec![
            thread::spawn(move || {
                while !first.load(Ordering::Relaxed) {
                    match tcp.accept() {
                        Ok((mut client, from)) => {
                            let _ =
                                client.write_all(format!("{name} {}", from.ip().to_canonical()).as_bytes());
                        }
                        Err(_) => thread::sleep(Duration::from_millis(2)),
                    }
                }
            }),
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while !second.load(Ordering::Relaxed) {
                    if let Ok((_, from)) = udp.recv_from(&mut buffer) {
                        let _ = udp.send_to(format!("{name} {}", from.ip().to_canonical()).as_bytes(), from);
                    }
                }
            }),
        ];
        Self { stop, threads }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The response of a TCP server to a client in the network namespace of a process.
///
/// # Errors
/// When there is no response.
pub fn ask(pid: u32, address: (impl Into<IpAddr> + Send, u16)) -> io::Result<String> {
    let address = SocketAddr::new(address.0.into(), address.1);
    inside(pid, || {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
}

/// Whether there is no response: refused, or dropped (then for half a second).
#[must_use]
pub fn unreachable(pid: u32, address: (impl Into<IpAddr> + Send, u16)) -> bool {
    let address = SocketAddr::new(address.0.into(), address.1);
    inside(pid, || TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_err())
}

/// A client of UDP in the network namespace of a process.
///
/// # Panics
/// When there is no socket to have.
#[must_use]
pub fn datagram_socket(pid: u32) -> UdpSocket {
    inside(pid, || UdpSocket::bind("0.0.0.0:0").expect("a socket"))
}

/// The response of a UDP server. The query is repeated where a datagram was lost.
///
/// # Panics
/// When there is no response.
#[must_use]
pub fn ask_datagram(socket: &UdpSocket, address: (Ipv4Addr, u16)) -> String {
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket that waits a while");
    wait::until(&format!("a datagram from {address:?}"), || {
        let mut buffer = [0; 64];
        let _ = socket.send_to(b"who?", address);
        let (length, _) = socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })
}
