//! A certificate for this machine, made anew by each test that wants one and signed by nobody but itself.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// One value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match content.len() {
        0..128 => vec![low],
        128..256 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, &content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn object_id(bytes: &[u8]) -> Vec<u8> {
    der(0x06, &[bytes])
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    der(0x03, &[&[0], bytes])
}

/// For 127.0.0.1, and what a server needs to show it.
pub(crate) fn self_signed() -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap();
    let ecdsa_with_sha256 = sequence(&[&object_id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let curve = [object_id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), object_id(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7])];
    let public = sequence(&[&sequence(&[&curve[0], &curve[1]]), &bits(pair.public_key().as_ref())]);
    let name = sequence(&[&der(0x31, &[&sequence(&[&object_id(&[0x55, 4, 3]), &der(0x0c, &[b"here"])])])]);
    let valid = sequence(&[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"20990101000000Z"])]);
    let names = der(0x04, &[&sequence(&[&der(0x87, &[&[127, 0, 0, 1]])])]);
    let extensions = der(0xa3, &[&sequence(&[&sequence(&[&object_id(&[0x55, 0x1d, 0x11]), &names])])]);
    let version = der(0xa0, &[&der(0x02, &[&[2]])]);
    let serial = der(0x02, &[&[1]]);
    let body = sequence(&[&version, &serial, &ecdsa_with_sha256, &name, &valid, &name, &public, &extensions]);
    let signature = pair.sign(&random, &body).unwrap();
    let certificate = sequence(&[&body, &ecdsa_with_sha256, &bits(signature.as_ref())]);
    let certificate = CertificateDer::from(certificate);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.as_ref().to_vec()).into();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    (certificate, Arc::new(config))
}

/// Writes a file of roots that are trusted.
pub(crate) fn write_roots(file: &Path, certificate: &CertificateDer<'_>) {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    std::fs::write(file, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")).unwrap();
}
