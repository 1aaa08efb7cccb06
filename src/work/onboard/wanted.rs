//! What is wanted of an onboarding: one person, as a row of a file or of a request says it. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::judge::Verdict;
use crate::ids::{AccountId, ConsumerName, Email, OnboardingId, RuleName};
use crate::rules::{Ensure, Licence, Mode, Rule, SubjectKind};
use crate::zoom::{CreateAction, NewUser};
use sha2::{Digest as _, Sha256};

/// Zoom's limits \[D].
const EMAIL_BYTES_MAX: usize = 128;
const NAME_CHARS_MAX: usize = 64;
const DISPLAY_NAME_CHARS_MAX: usize = 128;
/// Ours.
const GROUPS_MAX: usize = 20;
const GROUP_CHARS_MAX: usize = 128;
const LABEL_CHARS_MAX: usize = 200;
const KEY_CHARS_MAX: usize = 200;

/// Who is to become a user of an account, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[schemars(with = "String")]
    pub email: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default)]
    pub action: CreateAction,
    /// Without one, a new user is Basic, and one who is there already keeps what they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Licence>,
    /// By name or id. They are added to these and taken out of none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The caller's own word for it: it comes back in every answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The consumer that is told when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub notify: Option<ConsumerName>,
}

impl Wanted {
    /// Nothing but the address.
    pub const fn of(email: Email) -> Self {
        Self {
            email,
            first_name: None,
            last_name: None,
            display_name: None,
            action: CreateAction::Create,
            licence: None,
            groups: Vec::new(),
            label: None,
            notify: None,
        }
    }

    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<String> {
        let email = self.email.as_str().len();
        if email > EMAIL_BYTES_MAX {
            return Some(format!("email has {email} bytes, expected {EMAIL_BYTES_MAX} or fewer"));
        }
        if self.groups.len() > GROUPS_MAX {
            return Some(format!("groups has {} names, expected {GROUPS_MAX} or fewer", self.groups.len()));
        }
        let texts = [
            ("first_name", &self.first_name, NAME_CHARS_MAX),
            ("last_name", &self.last_name, NAME_CHARS_MAX),
            ("display_name", &self.display_name, DISPLAY_NAME_CHARS_MAX),
            ("label", &self.label, LABEL_CHARS_MAX),
        ];
        let texts = texts.into_iter().filter_map(|(name, text, max)| Some((name, text.as_deref()?, max)));
        let groups = self.groups.iter().map(|group| ("groups", group.as_str(), GROUP_CHARS_MAX));
        texts.chain(groups).find_map(|(name, text, max)| fault_of(name, text, max))
    }

    /// As a look before says it.
    pub fn licence_in_words(&self) -> String {
        self.licence.unwrap_or(Licence::Basic).to_string()
    }

    /// The user to be.
    pub fn new_user(&self) -> NewUser {
        NewUser {
            action: self.action,
            email: self.email.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            display_name: self.display_name.clone(),
            kind: self.licence.unwrap_or(Licence::Basic).kind(),
        }
    }

    /// What it asks of the user, as a rule that is about nobody else. No limit of a rule's is meant for it: each was asked for
    /// by name.
    pub fn as_rule(&self, name: RuleName) -> Rule {
        Rule {
            name,
            subject: SubjectKind::User,
            when: None,
            on: None,
            send: None,
            description: None,
            ensure: Ensure { groups: self.groups.clone(), licence: self.licence, ..Ensure::default() },
            allow_downgrade: false,
            allow_end: false,
            release: Vec::new(),
            mode: Mode::Enforce,
            except: Vec::new(),
            except_roles: Vec::new(),
            max_changes_per_hour: u32::MAX,
            max_changes_percent: 100,
        }
    }
}

fn fault_of(name: &str, text: &str, max: usize) -> Option<String> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        return Some(format!("{name} is empty: leave it out"));
    }
    if text.chars().any(char::is_control) {
        return Some(format!("{name} holds a control character"));
    }
    (chars > max).then(|| format!("{name} has {chars} characters, expected {max} or fewer"))
}

/// What is wrong with an idempotency key, if anything.
pub fn fault_of_key(key: &str) -> Option<String> {
    let printable = key.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let fits = (1..=KEY_CHARS_MAX).contains(&key.len());
    (!(printable && fits)).then(|| format!("the key has to be 1 to {KEY_CHARS_MAX} printable ASCII characters"))
}

/// The id under which an onboarding is found again by its idempotency key: the same key is the same onboarding.
pub fn id_of(account: &AccountId, key: &str) -> OnboardingId {
    OnboardingId::from_bytes(hashed(b"adjutant onboarding\0", account, key))
}

/// Which of so many kinds of requests an idempotency key of an account stands for.
pub(in crate::work) fn hashed(kind: &[u8], account: &AccountId, key: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(account.as_str().as_bytes());
    hash.update([0]);
    hash.update(key.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(hash.finalize().get(..16).unwrap_or(&[0; 16]));
    id
}

/// What would become of somebody, for a look before.
pub fn would(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Differs(found) => format!("adopt; {}", super::super::judge::in_words(found)),
        Verdict::Waits(reason) => format!("adopt; then it waits: {}", reason.short()),
        Verdict::NotApplicable(why) | Verdict::Unclear(why) | Verdict::Unanswered(why) => why.clone(),
        Verdict::Impossible(cause) => format!("it would be set aside: {cause}"),
        Verdict::Right | Verdict::Needs(_) | Verdict::Reports(_) => "adopt".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(json: &str) -> Result<Wanted, String> {
        let wanted: Wanted = serde_json::from_str(json).map_err(|error| error.to_string())?;
        wanted.fault().map_or(Ok(wanted), Err)
    }

    #[test]
    fn a_row_says_who_and_with_what_and_what_is_wrong_with_it() {
        let full = wanted(
            r#"{"email":"Jill@X.example","first_name":"Jill","licence":"licensed","groups":["Staff"],"action":"ssoCreate"}"#,
        );
        let full = full.unwrap();
        assert_eq!((full.email.as_str(), full.new_user().kind, full.action.invites()), ("jill@x.example", 2, false));
        assert_eq!(wanted(r#"{"email":"j@x.example"}"#), Ok(Wanted::of(Email::parse("j@x.example").unwrap())));
        for (json, said) in [
            (r#"{"email":"nobody"}"#.to_owned(), "email \"nobody\" is not valid"),
            (r#"{"first_name":"Jill"}"#.to_owned(), "missing field `email`"),
            (r#"{"email":"j@x.example","licens":"basic"}"#.to_owned(), "unknown field `licens`"),
            (r#"{"email":"j@x.example","licence":"gold"}"#.to_owned(), "unknown variant `gold`"),
            (r#"{"email":"j@x.example","first_name":" "}"#.to_owned(), "first_name is empty: leave it out"),
            (r#"{"email":"j@x.example","label":"a\u0007"}"#.to_owned(), "label holds a control character"),
            (format!(r#"{{"email":"j@x.example","last_name":"{}"}}"#, "x".repeat(65)), "last_name has 65 characters"),
            (format!(r#"{{"email":"{}@x.example"}}"#, "x".repeat(128)), "email has 138 bytes"),
            (format!(r#"{{"email":"j@x.example","groups":["{}"]}}"#, "g\",\"".repeat(21)), "groups"),
        ] {
            let fault = wanted(&json).unwrap_err();
            assert!(fault.contains(said), "{json}: {fault}");
        }
    }

    #[test]
    fn a_key_names_one_onboarding_of_one_account() {
        let account = |id: &str| AccountId::parse(id).unwrap();
        let id = id_of(&account("a"), "k");
        assert_eq!(id, id_of(&account("a"), "k"));
        for (of, key) in [("a", "K"), ("b", "k"), ("a", "kk"), ("ak", "")] {
            assert_ne!(id, id_of(&account(of), key), "{of} {key}");
        }
        assert!(fault_of_key("row 1").is_none());
        for bad in ["", "é", "a\n", &"k".repeat(201)] {
            assert!(fault_of_key(bad).is_some(), "{bad}");
        }
    }
}
