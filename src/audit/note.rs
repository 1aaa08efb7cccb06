//! Signed notes of C2SP `signed-note`, with Ed25519: a text, and who signed it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// An Ed25519 signature of a note, among the kinds of signatures.
const ED25519_NOTE: u8 = 1;
/// How a line of a signature begins.
const DASH: &str = "— ";
/// Notes have few signatures, and those are short.
const SIGNATURES_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("{0:?} is no name of a key: it may not be empty, nor have spaces or +")]
    Name(String),
    #[error("the note is malformed: {0}")]
    Malformed(&'static str),
    #[error("the key is malformed: {0}")]
    Key(&'static str),
    #[error("the signature of {0} is wrong")]
    WrongSignature(String),
    #[error("the note is not signed by a key that was given")]
    Unsigned,
}

/// A key that signs.
pub struct Signer {
    name: String,
    id: [u8; 4],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier())
    }
}

/// A key that verifies: public.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn id_of(name: &str, key: &[u8]) -> [u8; 4] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519_NOTE]).chain_update(key).finalize().into();
    let [first, second, third, fourth, ..] = hash;
    [first, second, third, fourth]
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

impl Signer {
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key("no Ed25519 seed"))?;
        Ok(Self { name: name.to_owned(), id: id_of(name, pair.public_key().as_ref()), pair })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn verifier(&self) -> Verifier {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        Verifier { name: self.name.clone(), id: self.id, key }
    }

    fn line(&self, text: &str) -> String {
        let signature = [&self.id[..], self.pair.sign(text.as_bytes()).as_ref()].concat();
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(signature))
    }
}

/// The note of a text, which ends with a new line.
pub fn sign(text: &str, by: &[&Signer]) -> String {
    let lines: String = by.iter().map(|signer| signer.line(text)).collect();
    format!("{text}\n{lines}")
}

/// The text of a note that is signed by at least one of these keys, and by none of them wrongly.
pub fn open<'a>(note: &'a str, keys: &[Verifier]) -> Result<&'a str, NoteError> {
    read(note, keys, false)
}

/// The same of a note that nobody else signed.
pub fn open_whole<'a>(note: &'a str, keys: &[Verifier]) -> Result<&'a str, NoteError> {
    read(note, keys, true)
}

fn read<'a>(note: &'a str, keys: &[Verifier], is_whole: bool) -> Result<&'a str, NoteError> {
    let malformed = NoteError::Malformed;
    if note.contains(|c: char| c.is_ascii_control() && c != '\n') {
        return Err(malformed("it has control characters"));
    }
    let place = note.rfind("\n\n").ok_or(malformed("no empty line before the signatures"))?;
    let (text, lines) = (note.get(..=place), note.get(place.saturating_add(2)..));
    let (Some(text), Some(lines)) = (text, lines.and_then(|lines| lines.strip_suffix('\n'))) else {
        return Err(malformed("no signature"));
    };
    let mut is_signed = false;
    for (line, count) in lines.split('\n').zip(0_usize..) {
        if count >= SIGNATURES_MAX {
            return Err(malformed("too many signatures"));
        }
        let line = line.strip_prefix(DASH).ok_or(malformed("a line is no signature"))?;
        let (name, signature) = line.split_once(' ').ok_or(malformed("a signature without a name"))?;
        let signature = STANDARD.decode(signature).map_err(|_| malformed("a signature is no base64"))?;
        let Some((id, signature)) = signature.split_first_chunk::<4>().filter(|_| is_name(name)) else {
            return Err(malformed("a signature is too short"));
        };
        if let Some(key) = keys.iter().find(|key| key.name == name && key.id == *id) {
            let verified = UnparsedPublicKey::new(&ED25519, key.key).verify(text.as_bytes(), signature);
            verified.map_err(|_| NoteError::WrongSignature(name.to_owned()))?;
            is_signed = true;
        } else if is_whole {
            return Err(NoteError::Unsigned);
        }
    }
    if is_signed { Ok(text) } else { Err(NoteError::Unsigned) }
}

impl Verifier {
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// As `example.com/log+530d903a+AekyeRrm…`.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_NOTE][..], &self.key].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

impl std::str::FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong = NoteError::Key;
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("it is written NAME+ID+KEY"));
        };
        if !is_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let key = STANDARD.decode(key).map_err(|_| wrong("what follows its id is no base64"))?;
        let Some((&ED25519_NOTE, key)) = key.split_first() else { return Err(wrong("it is not of Ed25519")) };
        let key = <[u8; 32]>::try_from(key).map_err(|_| wrong("a key of Ed25519 has 32 bytes"))?;
        if hex::encode(id_of(name, &key)) != id {
            return Err(wrong("its id is not that of its name and key"));
        }
        Ok(Self { name: name.to_owned(), id: id_of(name, &key), key })
    }
}

/// Keys that verify, in one text: one a line, as a log has them whose key was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifiers(pub Vec<Verifier>);

impl std::str::FromStr for Verifiers {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let keys = lines.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(NoteError::Key("there is none")) } else { Ok(Self(keys)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the specification.
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_opens_with_its_key() {
        let key: Verifier = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(open(NOTE, &[key]), Ok("This is an example message.\n"));
    }

    #[test]
    fn a_note_opens_only_as_it_was_signed_by_a_key_that_was_given() {
        let key: Verifier = KEY.parse().unwrap();
        let own = Signer::from_seed("example.com/own", &[7; 32]).unwrap();
        let other = Signer::from_seed("example.com/own", &[8; 32]).unwrap();
        let note = sign("a text\nof two lines\n", &[&own, &other]);
        assert_eq!(open(&note, &[own.verifier()]), Ok("a text\nof two lines\n"));
        assert_eq!(open(&note, &[key.clone(), other.verifier()]), Ok("a text\nof two lines\n"));
        assert_eq!(
            open(&note, std::slice::from_ref(&key)),
            Err(NoteError::Unsigned),
            "of keys that nobody knows nothing is said"
        );
        let forged = note.replace("two", "six");
        assert_eq!(open(&forged, &[own.verifier()]), Err(NoteError::WrongSignature("example.com/own".to_owned())));
        for wrong in ["", "text\n", "text\n\n", "text\n\nsigned\n", "te\rxt\n\n— a b\n", "text\n\n— a b"] {
            assert!(matches!(open(wrong, &[own.verifier()]), Err(NoteError::Malformed(_))), "{wrong:?}");
        }
        assert_eq!(open(&NOTE.replace("example.com/foo", "example.com/bar"), &[key]), Err(NoteError::Unsigned));
    }

    #[test]
    fn a_key_is_read_only_where_name_id_and_key_fit_each_other() {
        for wrong in [
            "example.com/foo",
            &KEY.replace("530d903a", "530d903b"),
            &KEY.replace("foo", "bar"),
            &KEY.replace("Aeky", "Beky"),
            &KEY[..KEY.len() - 4],
            "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
        }
        assert!(Signer::from_seed("with space", &[7; 32]).is_err());
    }
}
