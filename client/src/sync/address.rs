//! Addresses of sync endpoints: from the URL of a file, and that of its user's login.

use fastness::config::SyncPart;

/// Address of a sync endpoint.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Address {
    pub(crate) is_secure: bool,
    /// Host, an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Parts of a URL: scheme, host and port.
struct UrlParts<'u> {
    scheme: &'u str,
    host: &'u str,
    port: Option<u16>,
}

impl Address {
    /// Returns the endpoint of a file. Without a port, and at the host of the login, the port is
    /// that of the login; otherwise that of HTTP.
    pub(crate) fn of(sync: &SyncPart) -> Option<Self> {
        let url = sync.url().to_string();
        let parts = split(&url)?;
        let is_secure = parts.scheme == "realms";
        let login = split(sync.user().authentication_url());
        let login = login.filter(|login| {
            login.host.eq_ignore_ascii_case(parts.host) && (login.scheme == "https") == is_secure
        });
        let standard = if is_secure { 443 } else { 80 };
        let port = parts.port.or(login.and_then(|login| login.port)).unwrap_or(standard);
        Some(Self { is_secure, host: parts.host.to_owned(), port })
    }

    /// Returns the host for name resolution and certificates.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns host and port.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the URL of the WebSocket.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        format!("{scheme}://{}/sync", self.authority())
    }
}

fn split(url: &str) -> Option<UrlParts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // A colon within brackets is a part of an address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        Some(_) | None => (authority, None),
    };
    (!host.is_empty()).then_some(UrlParts { scheme, host, port })
}

#[cfg(test)]
mod tests {
    use super::Address;
    use fastness::config::{App, Configuration, User};

    #[track_caller]
    fn check(url: &str, login: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let user = User::new("me", login).unwrap();
        let builder = Configuration::sync_builder(&App::new(folder.path()), &user, url).unwrap();
        let configuration = builder.build().unwrap();
        let address = Address::of(configuration.sync().unwrap()).unwrap();
        assert_eq!(address.url(), expected, "{url}");
    }

    #[test]
    fn the_endpoint_of_a_file_is_at_its_host() {
        check("realm://h:81/a", "http://h:9080/auth", "ws://h:81/sync");
        check("realm://h/a", "http://other:9080/auth", "ws://h:80/sync");
        check("realms://h/a", "http://h:9080/auth", "wss://h:443/sync");
        check("realms://[::1]:7/~/a", "https://h/auth", "wss://[::1]:7/sync");
    }

    #[test]
    fn a_file_at_the_host_of_the_login_has_its_port() {
        check("/~/a", "http://h:9080/auth", "ws://h:9080/sync");
        check("/~/a", "https://h:9443/auth", "wss://h:9443/sync");
        check("/~/a", "https://h/auth", "wss://h:443/sync");
        check("realms://h/a", "https://h:9443", "wss://h:9443/sync");
    }
}
