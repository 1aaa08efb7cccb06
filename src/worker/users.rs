//! Users of an account, as a person looks at them and lets them go.
//!
//! Guarantees: what is changed was intended on disk before, with who told it, and is claimed only when it was read back; an
//! API user is never let go, nor whom the app acts as; owners and admins are by operators alone. Whoever gets what is left is there.

use std::sync::Arc;

use super::Parts;
use super::by_hand::ByHand;
use super::onboard::called;
use crate::account::{Account, Role, UserKey};
use crate::ids::AccountId;
use crate::job::Subject;
use crate::store::StoreError;
use crate::zoom::{Edit, Page, Removal, Status, User, UserPage, Which, Zoom, ZoomError, find_user};

/// Why somebody was not let go, or nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("no app holds account {0}")]
    NoAccount(AccountId),
    #[error("account {0} has no user {1}")]
    NoUser(AccountId, UserKey),
    #[error("{0} is an API user of the account: {1}, then ask again")]
    ApiUser(UserKey, String),
    #[error(
        "{0} is whom the app acts as in the account, and its access may end with them: let another admin install the app, or \
         take {0} out of acts_as, then ask again"
    )]
    ActsAs(UserKey),
    #[error("{0} is {1} of the account, whom only an operator's token lets go")]
    OperatorsOnly(UserKey, &'static str),
    #[error("only an operator's token {0}")]
    OperatorsDo(&'static str),
    #[error("{0}")]
    NotThere(String),
    /// Of a user who can have no assistants.
    #[error("{why}")]
    Lacks { code: &'static str, why: String },
    #[error("{0}")]
    Refused(String),
    #[error("Zoom: {0}")]
    Zoom(#[from] ZoomError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a person asks of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetGo {
    Deactivate,
    Remove(Removal),
}

/// Who tells it.
#[derive(Debug, Clone)]
pub struct By {
    pub actor: String,
    /// May let owners and admins go, too.
    pub is_operator: bool,
}

/// What somebody loses, or lost.
#[derive(Debug, Clone)]
pub struct Loss {
    pub user: User,
    pub what: Vec<String>,
}

/// Looks, and lets go.
#[derive(Debug)]
pub struct Users {
    parts: Parts,
}

impl Users {
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// One page of those with this status.
    pub async fn list(&self, account: &AccountId, status: Status, page: Page) -> Result<UserPage, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let listed = zoom.users(status, page).await;
        called(&self.parts, &account, zoom.calls()).await?;
        Ok(listed?)
    }

    pub async fn show(&self, account: &AccountId, user: &UserKey) -> Result<User, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let read = read(&*zoom, &account, user).await;
        called(&self.parts, &account, zoom.calls()).await?;
        read
    }

    /// What would be lost; where `is_check` is false, it is done. `actor` is who told it.
    pub async fn let_go(
        &self,
        account: &AccountId,
        (user, how): (&UserKey, LetGo),
        by: &By,
        is_check: bool,
    ) -> Result<Loss, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let done = self.done(&account, &*zoom, (user, how), by, is_check).await;
        called(&self.parts, &account, zoom.calls()).await?;
        done
    }

    async fn done(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        (key, how): (&UserKey, LetGo),
        by: &By,
        is_check: bool,
    ) -> Result<Loss, UsersError> {
        let user = read(zoom, account, key).await?;
        self.may(account, (key, &user), by)?;
        if let LetGo::Remove(how) = &how {
            check(&user, how)?;
            has_heir(zoom, account, how).await?;
        }
        let what = loss(zoom, &user, &how, is_check).await?;
        if is_check {
            return Ok(Loss { user, what });
        }
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() }.to_string();
        let of = UserKey::of(user.id.as_ref(), user.email.as_ref()).unwrap_or_else(|| key.clone());
        let words = in_words(&how);
        let by_hand = ByHand { parts: &self.parts, account, subject };
        let intent = by_hand.intend(&words, &by.actor).await?;
        let edit = match &how {
            LetGo::Deactivate => Edit::SetUserActive { of: of.clone(), to: false },
            LetGo::Remove(how) => Edit::RemoveUser { of: of.clone(), how: how.clone() },
        };
        let changed = match zoom.change(&intent, edit).await {
            // Whoever is gone is removed.
            Err(ZoomError::NotFound(_)) if matches!(how, LetGo::Remove(_)) => Ok(()),
            changed => changed.map(drop),
        };
        let read_back = match changed {
            Ok(()) => is_done(zoom, &of, &how).await,
            Err(error) => Err(error),
        };
        match read_back {
            Ok(true) => {
                by_hand.changed(&words).await?;
                Ok(Loss { user, what })
            }
            Ok(false) => {
                let why = format!("Zoom confirmed to {words}, and reading it back does not show it");
                by_hand.parked(why.clone()).await?;
                Err(UsersError::Refused(why))
            }
            Err(error) => {
                by_hand.parked(format!("{words}: {error}")).await?;
                Err(error.into())
            }
        }
    }

    /// Nobody lets those go by whom the account is served; and only operators those who run it.
    fn may(&self, account: &Account, (key, user): (&UserKey, &User), by: &By) -> Result<(), UsersError> {
        let around = self.parts.facts.around(account, self.parts.clock.now());
        let is_it = |one: &UserKey| one.is(user.id.as_ref(), user.email.as_ref());
        if around.api_user(user.id.as_ref(), user.email.as_ref()).is_some() || account.api_users.iter().any(is_it) {
            let how = if account.joined_at.is_some() {
                format!("name another with `adjutant accounts change {} --api-user EMAIL`", account.id)
            } else {
                "take it out of api_users and reload".to_owned()
            };
            return Err(UsersError::ApiUser(key.clone(), how));
        }
        if account.acts_as.iter().any(is_it) {
            return Err(UsersError::ActsAs(key.clone()));
        }
        match user.role {
            Some(Role::Owner) if !by.is_operator => Err(UsersError::OperatorsOnly(key.clone(), "the owner")),
            Some(Role::Admin) if !by.is_operator => Err(UsersError::OperatorsOnly(key.clone(), "an admin")),
            _ => Ok(()),
        }
    }
}

/// The account, and who asks Zoom about it.
pub(super) fn held(parts: &Parts, account: &AccountId) -> Result<(Account, Arc<dyn Zoom>), UsersError> {
    let roster = Arc::clone(&parts.roster.borrow());
    let found = roster.by_id(account).zip(parts.zooms.zoom(account));
    found.map(|(one, zoom)| (one.clone(), zoom)).ok_or_else(|| UsersError::NoAccount(account.clone()))
}

pub(super) async fn read(zoom: &dyn Zoom, account: &Account, key: &UserKey) -> Result<User, UsersError> {
    match find_user(zoom, key).await {
        Err(ZoomError::NotFound(_)) => Err(UsersError::NoUser(account.id.clone(), key.clone())),
        found => Ok(found?),
    }
}

/// The same, with none for somebody who is not there.
pub(super) async fn known(zoom: &dyn Zoom, account: &Account, key: &UserKey) -> Result<Option<User>, UsersError> {
    match read(zoom, account, key).await {
        Err(UsersError::NoUser(..)) => Ok(None),
        read => read.map(Some),
    }
}

fn check(user: &User, how: &Removal) -> Result<(), UsersError> {
    if how.is_for_good && user.status == Status::Pending {
        let why = "a pending user can only be disassociated: leave action out";
        return Err(UsersError::Refused(why.to_owned()));
    }
    if how.transfer_to.is_some() && how.transfer_to == user.email {
        return Err(UsersError::Refused("what a user leaves cannot go to the user".to_owned()));
    }
    Ok(())
}

/// Whoever gets what is left is there.
async fn has_heir(zoom: &dyn Zoom, account: &Account, how: &Removal) -> Result<(), UsersError> {
    let Some(heir) = &how.transfer_to else { return Ok(()) };
    match zoom.user(&UserKey::Email(heir.clone())).await {
        Ok(user) if user.status == Status::Active => Ok(()),
        Ok(_) | Err(ZoomError::NotFound(_) | ZoomError::Pending(_)) => {
            let why = format!("account {} has no active user {heir}, who could get what is left", account.id);
            Err(UsersError::Refused(why))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is lost by it, in words; of a check, with what saves it.
async fn loss(zoom: &dyn Zoom, user: &User, how: &LetGo, is_check: bool) -> Result<Vec<String>, ZoomError> {
    let mut what = Vec::new();
    if user.is_licensed() {
        what.push("the licence, which is free again".to_owned());
    }
    if user.status == Status::Pending {
        what.push("the open invitation".to_owned());
        return Ok(what);
    }
    let LetGo::Remove(how) = how else {
        what.push("the right to log in, until activated again".to_owned());
        return Ok(what);
    };
    if how.transfer_to.is_none() {
        let of = UserKey::of(user.id.as_ref(), user.email.as_ref());
        let meetings = match &of {
            Some(of) => zoom.meetings(of, Which::Upcoming, Page { size: 1, token: None }).await?.total,
            None => None,
        };
        let count = meetings.map_or_else(String::new, |count| format!(" ({count} upcoming)"));
        let advice = if is_check { ": name who gets them with transfer_to" } else { "" };
        what.push(format!("all meetings{count}, webinars and recordings{advice}"));
    }
    let left = if how.is_for_good {
        "the user itself, for good"
    } else {
        "the membership: the user keeps a Basic account of their own"
    };
    what.push(left.to_owned());
    Ok(what)
}

fn in_words(how: &LetGo) -> String {
    match how {
        LetGo::Deactivate => "deactivate the user".to_owned(),
        LetGo::Remove(Removal { is_for_good, transfer_to }) => {
            let what = if *is_for_good { "delete the user for good" } else { "take the user out of the account" };
            let to = transfer_to.as_ref().map_or_else(String::new, |to| format!(", and give what is left to {to}"));
            format!("{what}{to}")
        }
    }
}

async fn is_done(zoom: &dyn Zoom, of: &UserKey, how: &LetGo) -> Result<bool, ZoomError> {
    match (zoom.user(of).await, how) {
        (Err(ZoomError::NotFound(_)), LetGo::Remove(_)) => Ok(true),
        (Ok(user), LetGo::Deactivate) => Ok(user.status == Status::Inactive),
        (Ok(_), LetGo::Remove(_)) => Ok(false),
        (Err(error), _) => Err(error),
    }
}
