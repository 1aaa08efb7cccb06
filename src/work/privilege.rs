//! The scheduling privilege between two users: what it takes, and what of that is missing. Pure.

use std::fmt;

use crate::account::{Account, UserKey};
use crate::ids::{AccountId, Email, RuleName, UserId};
use crate::rules::{Grantee, Mode, Rule};
use crate::zoom::{ASSISTANTS_MAX, Assistant, Scheduler, Status, User};

/// A user, as far as Zoom says who that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub id: Option<UserId>,
    pub email: Option<Email>,
}

impl Who {
    /// Whether both are one user, as far as that can be said.
    pub fn is(&self, other: &Self) -> bool {
        (self.id.is_some() && self.id == other.id) || (self.email.is_some() && self.email == other.email)
    }

    pub fn is_named(&self, key: &UserKey) -> bool {
        key.is(self.id.as_ref(), self.email.as_ref())
    }

    pub fn key(&self) -> Option<UserKey> {
        UserKey::of(self.id.as_ref(), self.email.as_ref())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.email, &self.id) {
            (Some(email), _) => email.fmt(f),
            (None, Some(id)) => id.fmt(f),
            (None, None) => f.write_str("somebody whom Zoom does not name"),
        }
    }
}

impl From<&User> for Who {
    fn from(user: &User) -> Self {
        Self { id: user.id.clone(), email: user.email.clone() }
    }
}

impl From<Assistant> for Who {
    fn from(Assistant { id, email }: Assistant) -> Self {
        Self { id, email }
    }
}

impl From<Scheduler> for Who {
    fn from(Scheduler { id, email }: Scheduler) -> Self {
        Self { id, email }
    }
}

/// What keeps a user from giving the privilege, and from having it: both sides must be active and licensed \[D].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    Inactive,
    Pending,
    Unknown,
    Unlicensed,
}

impl Lack {
    pub fn of(user: &User) -> Option<Self> {
        Self::of_status(user).or_else(|| (!user.is_licensed()).then_some(Self::Unlicensed))
    }

    const fn of_status(user: &User) -> Option<Self> {
        match user.status {
            Status::Inactive => Some(Self::Inactive),
            Status::Pending => Some(Self::Pending),
            Status::Unknown => Some(Self::Unknown),
            Status::Active => None,
        }
    }

    pub const fn code(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Unknown => "unknown-status",
            Self::Unlicensed => "unlicensed",
        }
    }

    /// After the user's name.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Inactive => "is deactivated",
            Self::Pending => "has not accepted the invitation",
            Self::Unknown => "is not said to be active by Zoom",
            Self::Unlicensed => "has no licence",
        }
    }

    pub const fn to_do(self) -> &'static str {
        match self {
            Self::Inactive => "activate the user in Zoom's admin pages",
            Self::Pending => "the person has to accept it first",
            Self::Unknown => "look at the user in Zoom's admin pages",
            Self::Unlicensed => "give the user a licence",
        }
    }
}

/// One thing that has to be so, in words as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub what: String,
    pub holds: bool,
}

/// What is missing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub what: String,
    pub to_do: String,
}

/// Whether one user can schedule for another: all that it takes, and the first that is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privilege {
    pub facts: Vec<Fact>,
    pub missing: Option<Missing>,
}

/// Both sides as Zoom has them now.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    pub account: &'a AccountId,
    /// For whom somebody would schedule.
    pub user: &'a User,
    /// The one who would, as asked for; and as Zoom knows them, if it does.
    pub asked: &'a UserKey,
    pub assistant: Option<&'a User>,
    /// Who assists the user.
    pub there: &'a [Who],
    /// The rules that grant it.
    pub rules: &'a [RuleName],
}

impl Privilege {
    pub fn of(sides: &Sides<'_>) -> Self {
        let mut found = Self::default();
        let user = Who::from(sides.user);
        found.side(sides.account, sides.user);
        let Some(assistant) = sides.assistant else {
            let what = format!("Zoom knows no {} in account {}", sides.asked, sides.account);
            found.says(false, what, || "name a user of the account, by email or id".to_owned());
            return found;
        };
        let assisting = Who::from(assistant);
        if assisting.is(&user) {
            found.says(false, format!("{assisting} is the user, and nobody is their own assistant"), || {
                "nothing: whoever hosts a meeting can schedule it".to_owned()
            });
            return found;
        }
        found.side(sides.account, assistant);
        let is_there = sides.there.iter().any(|one| one.is(&assisting) || one.is_named(sides.asked));
        let what = if is_there {
            format!("{assisting} is an assistant of {user}")
        } else {
            format!("{assisting} is no assistant of {user}, who has {} of {ASSISTANTS_MAX}", sides.there.len())
        };
        found.says(is_there, what, || {
            let add = format!("`adjutant assistants add --user {user} {assisting}`");
            let rules: Vec<&str> = sides.rules.iter().map(RuleName::as_str).collect();
            match rules.as_slice() {
                _ if sides.there.len() >= ASSISTANTS_MAX => {
                    format!(
                        "the list is full: remove one with `adjutant assistants remove --user {user} USER`, then {add}"
                    )
                }
                [] => format!("make them one: {add}"),
                rules => format!("{} sees to it; or at once: {add}", name_rules(rules)),
            }
        });
        found
    }

    fn side(&mut self, account: &AccountId, user: &User) {
        let who = Who::from(user);
        let stated = user.home();
        // Zoom shows an app the users of its account alone, and need not say whose they are.
        let elsewhere = stated.filter(|stated| *stated != account.as_str());
        let what = match elsewhere {
            Some(other) => format!("{who} is of account {other}, and not of {account}"),
            None => format!("{who} is of account {account}"),
        };
        self.says(elsewhere.is_none(), what, || "both have to be of one account".to_owned());
        let lack = Lack::of_status(user);
        let to_do = |lack: Option<Lack>| lack.map(|lack| lack.to_do().to_owned()).unwrap_or_default();
        self.says(lack.is_none(), format!("{who} {}", lack.map_or("is active", Lack::in_words)), || to_do(lack));
        let lack = (!user.is_licensed()).then_some(Lack::Unlicensed);
        self.says(lack.is_none(), format!("{who} {}", lack.map_or("is licensed", Lack::in_words)), || to_do(lack));
    }

    fn says(&mut self, holds: bool, what: String, to_do: impl FnOnce() -> String) {
        if !holds && self.missing.is_none() {
            self.missing = Some(Missing { what: what.clone(), to_do: to_do() });
        }
        self.facts.push(Fact { what, holds });
    }
}

fn name_rules(rules: &[&str]) -> String {
    let word = if rules.len() == 1 { "rule" } else { "rules" };
    format!("{word} {}", rules.join(", "))
}

/// Whether the rule makes this user an assistant of whom it is about.
pub fn grants(rule: &Rule, account: &Account, (id, email): (Option<&UserId>, Option<&Email>)) -> bool {
    let would = |grantee: &Grantee| match grantee {
        Grantee::ApiUser => account.api_users.iter().any(|key| key.is(id, email)),
        Grantee::Named(named) => email == Some(named),
    };
    rule.mode == Mode::Enforce && rule.ensure.assistants.iter().any(would)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(email: &str, kind: i64, status: &str) -> User {
        let whole = json!({ "id": email.split('@').next(), "email": email, "type": kind, "status": status, "account_id": "acc" });
        let serde_json::Value::Object(whole) = whole else { panic!() };
        User::from(whole)
    }

    fn asked(user: &User, assistant: Option<&User>, there: &[Who]) -> Privilege {
        let (account, key) = (AccountId::parse("acc").unwrap(), "api@x.example".parse().unwrap());
        Privilege::of(&Sides { account: &account, user, asked: &key, assistant, there, rules: &[] })
    }

    fn missing(user: &User, assistant: Option<&User>, there: &[Who]) -> String {
        let missing = asked(user, assistant, there).missing;
        missing.map(|missing| format!("{}: {}", missing.what, missing.to_do)).unwrap_or_default()
    }

    #[test]
    fn whoever_is_an_assistant_and_lacks_nothing_can_schedule_whatever_the_list_names_them_by() {
        let (jill, api) = (user("jill@x.example", 2, "active"), user("api@x.example", 3, "active"));
        for there in [Who::from(&api), Who { email: None, ..Who::from(&api) }, Who { id: None, ..Who::from(&api) }] {
            let found = asked(&jill, Some(&api), &[there]);
            assert_eq!((found.missing, found.facts.len()), (None, 7));
            assert!(found.facts.iter().all(|fact| fact.holds));
        }
    }

    #[test]
    fn the_first_that_is_missing_is_told_with_what_to_do_about_it() {
        let (jill, api) = (user("jill@x.example", 2, "active"), user("api@x.example", 2, "active"));
        let there = [Who::from(&api)];
        let elsewhere = User { whole: json!({ "account_id": "other" }).as_object().unwrap().clone(), ..api.clone() };
        let full: Vec<Who> =
            (0..30).map(|n| Who { id: Some(UserId::parse(&format!("u{n}")).unwrap()), email: None }).collect();
        for (user, assistant, there, said) in [
            (user("jill@x.example", 1, "active"), Some(&api), &there[..], "jill@x.example has no licence: give"),
            (
                user("jill@x.example", 2, "pending"),
                Some(&api),
                &there,
                "jill@x.example has not accepted the invitation:",
            ),
            (user("jill@x.example", 2, "inactive"), Some(&api), &there, "jill@x.example is deactivated: activate"),
            (jill.clone(), Some(&user("api@x.example", 1, "active")), &there, "api@x.example has no licence: give"),
            (jill.clone(), Some(&elsewhere), &there, "api@x.example is of account other, and not of acc: both"),
            (jill.clone(), None, &there, "Zoom knows no api@x.example in account acc: name"),
            (jill.clone(), Some(&jill), &there, "jill@x.example is the user, and nobody is their own assistant"),
            (
                jill.clone(),
                Some(&api),
                &[],
                "who has 0 of 30: make them one: `adjutant assistants add --user jill@x.example api",
            ),
            (jill.clone(), Some(&api), &full, "who has 30 of 30: the list is full"),
        ] {
            let found = missing(&user, assistant, there);
            assert!(found.contains(said), "{found}");
        }
    }
}
