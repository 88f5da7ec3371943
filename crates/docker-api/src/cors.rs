//! The header fields of every response: server, API version, and allowed origins.

use crate::version::ApiVersion;

/// The lines that every response carries, each ended by CR LF.
///
/// `Server` begins with the product of the API and ends with the system in parentheses: clients read both.
pub fn common_headers(maximum: ApiVersion, cors: &str) -> String {
    let mut lines = format!(
        "Api-Version: {maximum}\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/{maximum} berth/{} (linux)\r\n",
        env!("CARGO_PKG_VERSION")
    );
    if !cors.is_empty() {
        lines.push_str("Access-Control-Allow-Origin: ");
        lines.push_str(cors);
        lines.push_str(
            "\r\nAccess-Control-Allow-Headers: Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth\r\n\
             Access-Control-Allow-Methods: HEAD, GET, POST, DELETE, PUT, OPTIONS\r\n",
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::common_headers;
    use crate::version::MAX;

    #[test]
    fn origins_only_when_asked_for() {
        assert!(!common_headers(MAX, "").contains("Access-Control"));
        assert!(
            common_headers(MAX, "http://foo.bar").contains("Access-Control-Allow-Origin: http://foo.bar\r\n")
        );
        assert!(common_headers(MAX, "*").ends_with("\r\n"));
    }
}
