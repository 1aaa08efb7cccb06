//! Names of things. Each is a type of its own with one `parse`, so that a user id is never taken for an email, nor a
//! meeting number for a meeting UUID, and so that nothing that Zoom or a stranger sends reaches a path unchecked.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not the id that it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: expected {expected}")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl RuleName {
    /// The name under which people are made users.
    pub const ONBOARD: &str = "onboard";

    /// The same, as a name.
    pub fn onboard() -> Self {
        Self(Self::ONBOARD.into())
    }

    pub fn is_onboard(&self) -> bool {
        self.as_str() == Self::ONBOARD
    }

    /// The name under which meetings are scheduled.
    pub const SCHEDULE: &str = "schedule";
    /// The name under which meetings are given another host.
    pub const MOVE: &str = "move";

    pub fn schedule() -> Self {
        Self(Self::SCHEDULE.into())
    }

    pub fn moving() -> Self {
        Self(Self::MOVE.into())
    }

    /// The name under which hosts are looked at who can host no more.
    pub const LOST_HOST: &str = "lost-host";

    pub fn lost_host() -> Self {
        Self(Self::LOST_HOST.into())
    }

    pub fn is_lost_host(&self) -> bool {
        self.as_str() == Self::LOST_HOST
    }

    pub fn is_errand(&self) -> bool {
        [Self::SCHEDULE, Self::MOVE].contains(&self.as_str())
    }

    /// Whether no rule of the configuration may have it.
    pub fn is_taken(&self) -> bool {
        self.is_onboard() || self.is_errand() || self.is_lost_host()
    }
}

impl InvalidId {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self { kind, text: text.chars().take(64).collect(), expected }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr, $normal:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let (valid, normal): (fn(&str) -> bool, fn(&str) -> String) = ($valid, $normal);
                if valid(text) { Ok(Self(normal(text).into())) } else { Err(InvalidId::new($kind, text, $expected)) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
    };
}

fn is_short_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Zoom's ids are opaque; real ones are base64-like. Anything printable is taken, and escaped wherever it enters a path.
fn is_opaque(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_email(text: &str) -> bool {
    let printable = text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    printable && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

text_id!(
    /// The name of an app in the configuration and in its webhook path.
    AppName, "app name", "1 to 32 of a-z, 0-9 and -", is_short_name, str::to_owned
);
text_id!(
    /// The name of a rule.
    RuleName, "rule name", "1 to 32 of a-z, 0-9 and -", is_short_name, str::to_owned
);
text_id!(
    /// The name of a consumer.
    ConsumerName, "consumer name", "1 to 32 of a-z, 0-9 and -", is_short_name, str::to_owned
);
text_id!(
    /// Zoom's id of an account.
    AccountId, "account id", "1 to 128 printable ASCII characters without spaces", is_opaque, str::to_owned
);
text_id!(
    /// Zoom's id of a user. Case counts. `me` is refused, however it is written: in a path it would mean whoever holds the
    /// token.
    UserId, "user id", "1 to 128 printable ASCII characters without spaces and @, and not me, . or ..",
    |t| is_opaque(t) && !t.contains('@') && !matches!(t, "." | "..") && !t.eq_ignore_ascii_case("me"), str::to_owned
);
text_id!(
    /// An email address, kept in lower case: Zoom compares without case.
    Email, "email", "an address like name@example.com", is_email, str::to_lowercase
);
text_id!(
    /// Zoom's id of a group of users.
    GroupId, "group id", "1 to 128 printable ASCII characters without spaces", is_opaque, str::to_owned
);
text_id!(
    /// Zoom's id of an app in its Marketplace.
    MarketplaceId, "marketplace app id", "1 to 128 printable ASCII characters without spaces", is_opaque, str::to_owned
);
text_id!(
    /// Zoom's id of one instance of a meeting; it may hold `/`, and is encoded twice in paths.
    MeetingUuid, "meeting uuid", "1 to 128 printable ASCII characters without spaces", is_opaque, str::to_owned
);

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// What stands before the number.
            pub const PREFIX: &str = $prefix;

            pub const fn from_number(number: u64) -> Self {
                Self(number)
            }

            pub const fn number(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let number = text.strip_prefix($prefix).and_then(|digits| digits.parse().ok());
                number.map(Self).ok_or_else(|| {
                    InvalidId::new($kind, text, concat!($prefix, " and a number, as the listing prints it"))
                })
            }
        }
    };
}

numbered_id!(
    /// One stored delivery. Larger is later.
    DeliveryId, "dlv_", "delivery id"
);
numbered_id!(
    /// One job. Larger is later.
    JobId, "job_", "job id"
);

macro_rules! hashed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name([u8; 16]);

        impl $name {
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; 16];
                let read = text.strip_prefix($prefix).map(|digits| hex::decode_to_slice(digits, &mut bytes));
                match read {
                    Some(Ok(())) => Ok(Self(bytes)),
                    _ => Err(InvalidId::new($kind, text, concat!($prefix, " and 32 hexadecimal digits"))),
                }
            }
        }
    };
}

hashed_id!(
    /// One onboarding: a person who is to become a user. Says nothing of when or whom.
    OnboardingId, "onb_", "onboarding id"
);
hashed_id!(
    /// One errand: something that somebody asks to be done to one meeting. Says nothing of when or which.
    ErrandId, "erd_", "errand id"
);

/// A meeting number. Zoom sends it as a number in some events and as text in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeetingId(u64);

impl MeetingId {
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub const fn number(self) -> u64 {
        self.0
    }

    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| InvalidId::new("meeting id", text, "digits, up to 2^64"))
    }
}

impl fmt::Display for MeetingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_compared_without_case() {
        assert_eq!(Email::parse("Jill@Example.COM").unwrap(), Email::parse("jill@example.com").unwrap());
        assert!(Email::parse("jill").is_err());
        assert!(Email::parse("@example.com").is_err());
    }

    #[test]
    fn a_user_id_is_never_whoever_holds_the_token() {
        assert!(UserId::parse("KDcuGIm1QgePTO8WbOqwIQ").is_ok());
        for bad in ["me", "ME", "Me", ".", "..", "a@b", ""] {
            assert!(UserId::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn an_app_name_is_short_and_plain() {
        assert!(AppName::parse("main-2").is_ok());
        for bad in ["", "Main", "a/b", "a_b", "ä", &"a".repeat(33)] {
            assert!(AppName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_numbered_id_reads_what_it_prints() {
        let id = JobId::from_number(42);
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert!("42".parse::<JobId>().is_err());
        assert!("dlv_42".parse::<JobId>().is_err());
    }

    #[test]
    fn a_meeting_id_is_digits_only() {
        assert_eq!(MeetingId::parse("1234567890").unwrap().number(), 1_234_567_890);
        assert!(MeetingId::parse("+1").is_err());
        assert!(MeetingId::parse("").is_err());
    }
}
