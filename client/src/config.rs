//! How a client reaches its servers.

use crate::error::ConfigError;
use std::fmt;
use std::time::Duration;
use ureq::config::Config as HttpConfig;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// How a client reaches its servers: the time-outs of the original, the roots that browsers trust.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the app, `unknown` unless told otherwise.
    pub app_id: String,
    /// How long connecting may take, TLS included: 10 s.
    pub connect: Duration,
    /// How long sending may take: 10 s.
    pub write: Duration,
    /// How long an answer may take: 30 s.
    pub read: Duration,
    /// Whom to ask instead of the server.
    pub proxy: Proxy,
    /// Who may vouch for servers.
    pub roots: Roots,
    /// How old a refresh token becomes before it is exchanged for another: any age, unless told
    /// otherwise, as with the original client. Only our server exchanges them.
    pub exchange_after: Option<Duration>,
    /// Threads that wait for servers, and so the most requests at once: 4.
    pub threads: usize,
}

/// Whom to ask instead of the server.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// Whom the variables `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, if any.
    #[default]
    FromEnvironment,
    /// Nobody.
    None,
    /// This one: `http://user:password@host:port`.
    At(String),
}

/// Who may vouch for servers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Roots {
    /// Whom browsers trust, as of when this was built.
    #[default]
    Public,
    /// These certificates, in PEM, and nobody else.
    Pem(Vec<u8>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            app_id: "unknown".to_owned(),
            connect: Duration::from_secs(10),
            write: Duration::from_secs(10),
            read: Duration::from_secs(30),
            proxy: Proxy::FromEnvironment,
            roots: Roots::Public,
            exchange_after: None,
            threads: 4,
        }
    }
}

impl Config {
    /// Makes the configuration of the HTTP library.
    pub(crate) fn http(&self) -> Result<HttpConfig, ConfigError> {
        let builder = HttpConfig::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(self.connect))
            .timeout_connect(Some(self.connect))
            .timeout_send_request(Some(self.write))
            .timeout_send_body(Some(self.write))
            .timeout_recv_response(Some(self.read))
            .timeout_recv_body(Some(self.read))
            .max_idle_connections(5)
            .max_idle_age(Duration::from_secs(5))
            .user_agent(concat!("fastness/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(self.root_certs()?).build());
        let builder = match &self.proxy {
            Proxy::FromEnvironment => builder,
            Proxy::None => builder.proxy(None),
            Proxy::At(url) => {
                let proxy = ureq::Proxy::new(url).map_err(|_| ConfigError::Proxy)?;
                builder.proxy(Some(proxy))
            }
        };
        Ok(builder.build())
    }

    fn root_certs(&self) -> Result<RootCerts, ConfigError> {
        let Roots::Pem(pem) = &self.roots else { return Ok(RootCerts::WebPki) };
        let mut certificates = Vec::new();
        for item in parse_pem(pem) {
            let PemItem::Certificate(certificate) = item.map_err(|_| ConfigError::Roots)? else {
                return Err(ConfigError::Roots);
            };
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(ConfigError::Roots);
        }
        Ok(RootCerts::from(certificates.iter().map(Certificate::to_owned).collect::<Vec<_>>()))
    }
}

/// The address of a proxy may hold a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromEnvironment => "FromEnvironment",
            Self::None => "None",
            Self::At(_) => "At(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        assert!(Config::default().http().is_ok());
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            let config = Config { roots: Roots::Pem(pem.into()), ..Config::default() };
            assert_eq!(config.http().err(), Some(ConfigError::Roots), "{pem}");
        }
        let config = Config { proxy: Proxy::At("not a proxy".to_owned()), ..Config::default() };
        assert_eq!(config.http().err(), Some(ConfigError::Proxy));
    }

    #[test]
    fn the_password_of_a_proxy_is_not_printed() {
        let proxy = Proxy::At("http://me:hunter2@h:1".to_owned());
        let config = Config { proxy, ..Config::default() };
        assert!(config.http().is_ok());
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
