//! Certificates made for one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use shoal_client::TlsConfig;
use shoal_node::tls::{Pem, Tls};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the nodes of tests are.
pub(crate) const LOOPBACK: &[&str] = &["127.0.0.1", "localhost"];

/// A CA.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for nodes, or clients, of these names and addresses.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_with(names, |_| ())
    }

    /// One whose time is over.
    pub(crate) fn sign_expired(&self, names: &[&str]) -> Signed {
        self.sign_with(names, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2000, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// What a node on loopback speaks TLS with.
    pub(crate) fn node(&self) -> Pem {
        self.node_with(self.sign(LOOPBACK))
    }

    pub(crate) fn node_with(&self, signed: Signed) -> Pem {
        Pem {
            certificate: signed.certificate.into(),
            key: signed.key.into(),
            ca: self.pem().into(),
            client_ca: None,
            peer_name: None,
        }
    }

    /// The same, ready to be used.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        Some(Arc::new(Tls::new(&self.node()).unwrap()))
    }

    /// For clients that trust this CA.
    pub(crate) fn trusted(&self) -> TlsConfig {
        TlsConfig::trusting(self.pem())
    }

    /// A file with the CA's certificate.
    pub(crate) fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        fs::write(&path, self.pem()).unwrap();
        path
    }
}
