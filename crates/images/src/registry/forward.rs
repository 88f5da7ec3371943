//! Plain HTTP through a proxy: the request line carries the whole URL (RFC 9112, section 3.2.2).
//!
//! The client library sends every proxy a `CONNECT`, which most allow for port 443 alone. A connection
//! carries one request, so that the first bytes sent are its head.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Error};
use url::Url;

/// A proxy that is spoken to by plain HTTP.
#[derive(Debug, Clone)]
pub(super) struct ForwardProxy {
    address: Uri,
    authorization: Option<String>,
}

impl ForwardProxy {
    /// Reads an address with or without a scheme; `None` when it is another kind of proxy.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).ok().filter(|url| url.scheme() == "http" && url.has_host())?;
        let secret = |text: &str| percent_decoded(text);
        let pair = format!("{}:{}", secret(url.username()), secret(url.password().unwrap_or_default()));
        let authorization = (pair != ":").then(|| format!("Basic {}", BASE64_STANDARD.encode(pair)));
        let port = url.port_or_known_default()?;
        let address = format!("http://{}:{port}/", url.host_str()?).parse().ok()?;
        Some(Self { address, authorization })
    }

    /// Makes an agent whose requests all go to the proxy.
    pub(super) fn agent(&self, config: Config) -> Agent {
        Agent::with_parts(config, TcpConnector::default().chain(self.clone()), ToProxy(self.address.clone()))
    }
}

/// The bytes that `%41` and the like stand for; what is no text is left as it is.
fn percent_decoded(text: &str) -> String {
    let whole = format!("x={}", text.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(whole.as_bytes()).next();
    decoded.map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
}

impl<In: Transport> Connector<In> for ForwardProxy {
    type Out = Forwarded<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let origin = match (details.uri.scheme_str(), details.uri.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
            _ => return Err(Error::HostNotFound),
        };
        let authorization = self.authorization.clone();
        Ok(chained.map(|transport| Forwarded { transport, head: Some(Head { origin, authorization }) }))
    }
}

/// Finds the proxy's address, whatever the requested host: the proxy resolves names.
#[derive(Debug)]
struct ToProxy(Uri);

impl Resolver for ToProxy {
    fn resolve(&self, _: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}

/// The additions to the head of a request for the proxy.
#[derive(Debug)]
struct Head {
    origin: String,
    authorization: Option<String>,
}

impl Head {
    /// Puts the origin before the path, and the proxy's header behind the first line.
    fn mend(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let method = bytes.iter().position(|byte| *byte == b' ')? + 1;
        let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let mut mended = Vec::with_capacity(bytes.len() + 128);
        mended.extend_from_slice(&bytes[..method]);
        mended.extend_from_slice(self.origin.as_bytes());
        mended.extend_from_slice(&bytes[method..line]);
        if let Some(authorization) = &self.authorization {
            mended.extend_from_slice(format!("Proxy-Authorization: {authorization}\r\n").as_bytes());
        }
        mended.extend_from_slice(&bytes[line..]);
        Some(mended)
    }
}

/// A connection to the proxy whose first head is rewritten.
#[derive(Debug)]
pub(super) struct Forwarded<In> {
    transport: In,
    head: Option<Head>,
}

impl<In: Transport> Transport for Forwarded<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(head) = self.head.take() else { return self.transport.transmit_output(amount, timeout) };
        let output = self.transport.buffers().output();
        let mended = head.mend(&output[..amount]).filter(|mended| mended.len() <= output.len());
        let mended = mended.ok_or(Error::LargeResponseHeader(amount, output.len()))?;
        output[..mended.len()].copy_from_slice(&mended);
        self.transport.transmit_output(mended.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_with_and_without_a_scheme() {
        let proxy = ForwardProxy::parse("http://joe:s%40c@proxy:3128").unwrap();
        assert_eq!(proxy.address.to_string(), "http://proxy:3128/");
        assert_eq!(proxy.authorization.as_deref(), Some("Basic am9lOnNAYw=="));
        let bare = ForwardProxy::parse("10.0.0.1:8080").unwrap();
        assert_eq!((bare.address.to_string().as_str(), bare.authorization), ("http://10.0.0.1:8080/", None));
        assert_eq!(ForwardProxy::parse("proxy").unwrap().address.to_string(), "http://proxy:80/");
        for other in ["https://proxy", "socks5://proxy:1", "http://", ""] {
            assert!(ForwardProxy::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_head_names_the_whole_url() {
        let head = Head { origin: "http://reg:5000".into(), authorization: Some("Basic x".into()) };
        let mended = head.mend(b"GET /v2/?a=b HTTP/1.1\r\nHost: reg:5000\r\n\r\n").unwrap();
        assert_eq!(
            String::from_utf8(mended).unwrap(),
            "GET http://reg:5000/v2/?a=b HTTP/1.1\r\nProxy-Authorization: Basic x\r\nHost: reg:5000\r\n\r\n"
        );
        assert!(head.mend(b"rubbish").is_none());
    }
}
