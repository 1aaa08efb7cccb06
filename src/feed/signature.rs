//! Signatures as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, in base64, after `v1,`.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;

const PREFIX: &str = "whsec_";
/// Of a key, as the specification has it.
const BYTES: RangeInclusive<usize> = 24..=64;

/// A secret that signs. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a text is no secret. Does not name it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("does not begin with whsec_")]
    Prefix,
    #[error("is no base64 after whsec_")]
    Base64,
    #[error("holds {0} bytes, and 24 to 64 make a secret")]
    Length(usize),
}

impl Secret {
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let key = STANDARD.decode(text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?);
        let key = key.map_err(|_| SecretError::Base64)?;
        if BYTES.contains(&key.len()) { Ok(Self(key)) } else { Err(SecretError::Length(key.len())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The signature header: one signature for each secret.
pub(super) fn header(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> String {
    let sign = |secret: &Secret| {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
        mac.update(format!("{id}.{}.", at.as_secs()).as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_specification_does() {
        // The example of the specification's own libraries.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_secs(1_614_265_330));
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(header(std::slice::from_ref(&secret), id, at, body), expected);
        let other = Secret::parse(&format!("whsec_{}", STANDARD.encode([7; 24]))).unwrap();
        let both = header(&[other, secret], id, at, body);
        assert_eq!(both.split(' ').collect::<Vec<_>>().len(), 2);
        assert!(both.ends_with(expected), "{both}");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_named() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for fine in [24, 32, 64] {
            let secret = Secret::parse(&of(fine)).unwrap();
            assert_eq!(format!("{secret:?}"), "Secret(***)");
        }
        for (text, why) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(), SecretError::Prefix),
            ("whsec_%%%".to_owned(), SecretError::Base64),
            (of(23), SecretError::Length(23)),
            (of(65), SecretError::Length(65)),
        ] {
            assert_eq!(Secret::parse(&text), Err(why), "{text}");
        }
    }
}
