use super::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// Signed by itself, and valid until 2030.
fn signed() -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["node.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2030, 1, 1);
    (params.self_signed(&key).unwrap().pem().into(), key.serialize_pem().into())
}

fn pem() -> Pem {
    let (certificate, key) = signed();
    Pem { ca: certificate.clone(), certificate, key, client_ca: None, peer_name: None }
}

#[test]
fn what_is_of_no_use_is_named() {
    let (_, other_key) = signed();
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let cases = [
        (Pem { certificate: Vec::new(), ..pem() }, Part::Certificate, "no certificate"),
        (Pem { certificate: broken.clone(), ..pem() }, Part::Certificate, ""),
        (Pem { key: b"text".to_vec(), ..pem() }, Part::Key, "no private key"),
        (Pem { key: other_key, ..pem() }, Part::Key, "keys may not be consistent"),
        (Pem { ca: Vec::new(), ..pem() }, Part::Ca, "no certificate"),
        (Pem { ca: broken, ..pem() }, Part::Ca, ""),
        (Pem { client_ca: Some(b"text".to_vec()), ..pem() }, Part::ClientCa, "no certificate"),
        (Pem { peer_name: Some("no name".to_owned()), ..pem() }, Part::Name, "name"),
    ];
    for (pem, part, why) in cases {
        let error = Tls::new(&pem).unwrap_err();
        assert_eq!(error.part, part, "{error}");
        assert!(error.to_string().to_lowercase().contains(why), "{error}");
    }
}

#[test]
fn what_is_of_no_use_replaces_nothing() {
    let tls = Tls::new(&pem()).unwrap();
    let before = tls.0.load_full();
    assert!(tls.replace(&Pem { key: Vec::new(), ..pem() }).is_err());
    assert!(Arc::ptr_eq(&before, &tls.0.load_full()));
    assert_eq!(tls.replace(&pem()), Ok(true));
    assert!(!Arc::ptr_eq(&before, &tls.0.load_full()));
}

#[test]
fn the_end_of_the_certificate_is_told_and_its_key_is_not() {
    let pem = pem();
    let tls = Tls::new(&pem).unwrap();
    assert_eq!(tls.expires_at(), 1_893_456_000);
    assert_eq!(format!("{pem:?} {tls:?}"), "Pem { .. } Tls { expires_at: 1893456000, .. }");
}

#[test]
fn the_host_of_an_address_has_neither_port_nor_brackets() {
    for (address, host) in
        [("a.example:1", "a.example"), ("10.0.0.1:7381", "10.0.0.1"), ("[::1]:7381", "::1")]
    {
        assert_eq!(material::host(address), host);
    }
}
