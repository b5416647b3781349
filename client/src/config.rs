//! Configuration of a client.

use crate::error::ConfigError;
use std::fmt;
use std::time::Duration;
use ureq::config::Config as HttpConfig;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Configuration of a client. The default has the time-outs of the original and the root
/// certificates of browsers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the app: `unknown`.
    pub app_id: String,
    /// Time to connect, TLS included: 10 s.
    pub connect_timeout: Duration,
    /// Time to send a request: 10 s.
    pub write_timeout: Duration,
    /// Time to receive a response: 30 s.
    pub read_timeout: Duration,
    /// Proxy of all requests.
    pub proxy: Proxy,
    /// Trusted root certificates.
    pub root_certificates: RootCertificates,
    /// Age at which refresh tokens are rotated; `None` never rotates, as in the original client.
    /// Only `fastness-server` supports rotation.
    pub rotate_after: Option<Duration>,
    /// Network threads of each server, which bound its concurrent requests: 4.
    pub network_threads: usize,
}

/// Proxy of all requests.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// The proxy of `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    #[default]
    FromEnvironment,
    /// No proxy.
    None,
    /// This proxy: `http://user:password@host:port`.
    Url(String),
}

/// Trusted root certificates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RootCertificates {
    /// The root certificates of browsers, as of the build.
    #[default]
    Public,
    /// Only these certificates, in PEM.
    Pem(Vec<u8>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            app_id: "unknown".to_owned(),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            proxy: Proxy::FromEnvironment,
            root_certificates: RootCertificates::Public,
            rotate_after: None,
            network_threads: 4,
        }
    }
}

impl Config {
    /// Converts to the configuration of the HTTP library.
    pub(crate) fn http(&self) -> Result<HttpConfig, ConfigError> {
        let builder = HttpConfig::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_send_request(Some(self.write_timeout))
            .timeout_send_body(Some(self.write_timeout))
            .timeout_recv_response(Some(self.read_timeout))
            .timeout_recv_body(Some(self.read_timeout))
            .max_idle_connections(5)
            .max_idle_age(Duration::from_secs(5))
            .user_agent(concat!("fastness/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(self.root_certs()?).build());
        let builder = match &self.proxy {
            Proxy::FromEnvironment => builder,
            Proxy::None => builder.proxy(None),
            Proxy::Url(url) => {
                let proxy = ureq::Proxy::new(url).map_err(|_| ConfigError::Proxy)?;
                builder.proxy(Some(proxy))
            }
        };
        Ok(builder.build())
    }

    fn root_certs(&self) -> Result<RootCerts, ConfigError> {
        let RootCertificates::Pem(pem) = &self.root_certificates else {
            return Ok(RootCerts::WebPki);
        };
        let mut certificates = Vec::new();
        for item in parse_pem(pem) {
            let PemItem::Certificate(certificate) =
                item.map_err(|_| ConfigError::RootCertificates)?
            else {
                return Err(ConfigError::RootCertificates);
            };
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(ConfigError::RootCertificates);
        }
        Ok(RootCerts::from(certificates.iter().map(Certificate::to_owned).collect::<Vec<_>>()))
    }
}

/// Omits the address of the proxy, which may contain a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromEnvironment => "FromEnvironment",
            Self::None => "None",
            Self::Url(_) => "Url(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_refused_by_name() {
        assert!(Config::default().http().is_ok());
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            let config = Config {
                root_certificates: RootCertificates::Pem(pem.into()),
                ..Config::default()
            };
            assert_eq!(config.http().err(), Some(ConfigError::RootCertificates), "{pem}");
        }
        let config = Config { proxy: Proxy::Url("not a proxy".to_owned()), ..Config::default() };
        assert_eq!(config.http().err(), Some(ConfigError::Proxy));
    }

    #[test]
    fn the_password_of_a_proxy_is_not_printed() {
        let proxy = Proxy::Url("http://me:hunter2@h:1".to_owned());
        let config = Config { proxy, ..Config::default() };
        assert!(config.http().is_ok());
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
