//! TLS for a socket that does not block: a read never waits for a write.

use super::socket::Socket;
use crate::config::RootCertificates;
use crate::error::ConfigError;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A TLS connection over a socket.
pub(super) struct TlsStream {
    tls: ClientConnection,
    socket: Socket,
}

/// Makes the configuration of TLS.
pub(super) fn config(roots: &RootCertificates) -> Result<Arc<ClientConfig>, ConfigError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|_| ConfigError::RootCertificates)?;
    Ok(Arc::new(builder.with_root_certificates(store(roots)?).with_no_client_auth()))
}

fn store(roots: &RootCertificates) -> Result<RootCertStore, ConfigError> {
    let mut store = RootCertStore::empty();
    match roots {
        RootCertificates::Public => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        RootCertificates::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate.ok().and_then(|certificate| store.add(certificate).ok());
                added.ok_or(ConfigError::RootCertificates)?;
            }
        }
    }
    if store.is_empty() { Err(ConfigError::RootCertificates) } else { Ok(store) }
}

impl TlsStream {
    /// Performs the handshake, within the deadline of the socket.
    pub(super) fn connect(
        config: Arc<ClientConfig>,
        host: &str,
        mut socket: Socket,
    ) -> io::Result<Self> {
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        let mut tls = ClientConnection::new(config, name).map_err(refused)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { tls, socket })
    }

    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) const fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Returns whether bytes wait until the socket accepts them.
    pub(super) fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    fn write_tls(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.socket)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if self.tls.read_tls(&mut self.socket)? == 0 {
                let text = "the connection ended without a word";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            self.tls.process_new_packets().map_err(refused)?;
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let count = self.tls.writer().write(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            // The buffer is full until the socket accepts some of it.
            self.write_tls()?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_tls()?;
        self.socket.flush()
    }
}

fn refused(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
