//! Secrets as text, for what is sealed afterwards and for nothing else: `#[serde(with = "crate::exposed::one")]`.

pub(crate) mod one {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        Ok(String::deserialize(from)?.into())
    }
}

/// One or none.
pub(crate) mod maybe {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for it so")]
    pub(crate) fn serialize<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Into::into))
    }
}

pub(crate) mod many {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(secrets: &[SecretString], to: S) -> Result<S::Ok, S::Error> {
        secrets.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SecretString>, D::Error> {
        Ok(Vec::<String>::deserialize(from)?.into_iter().map(Into::into).collect())
    }
}
