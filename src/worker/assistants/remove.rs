//! Assistants and schedulers are removed, one or all: who loses what is known before, and which rules would grant it again.

use super::{Assistants, Grant, Host, List, names, subject};
use crate::account::{Account, UserKey};
use crate::ids::{AccountId, RuleName};
use crate::job::Subject;
use crate::work::{Who, not_for_good};
use crate::worker::by_hand::ByHand;
use crate::worker::onboard::called;
use crate::worker::users::{By, UsersError, held, known, read};
use crate::zoom::{Assistant, Edit, User, Zoom, ZoomError};

/// What is removed of a user's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdraw {
    pub list: List,
    /// One; without, all of them.
    pub who: Option<UserKey>,
    /// As many as whoever asks was told of: where there are more by now, nothing is removed.
    pub at_most: Option<usize>,
}

/// Who may not schedule for whom any more, or would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub user: Who,
    pub lost: Vec<Grant>,
    /// The rules that would grant it again.
    pub rules: Vec<RuleName>,
}

/// What is about to be lost.
struct Found {
    lost: Vec<Grant>,
    /// Whose assistants all of them are; none where they are of many.
    host: Option<Host>,
}

impl Assistants {
    /// Removes them; where `is_check`, it is only said who would lose what.
    pub async fn remove(
        &self,
        account: &AccountId,
        (user, what): (&UserKey, &Withdraw),
        by: &By,
        is_check: bool,
    ) -> Result<Removed, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let removed = self.removed(&account, &*zoom, (user, what), by, is_check).await;
        called(&self.parts, &account, zoom.calls()).await?;
        removed
    }

    async fn removed(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        (key, what): (&UserKey, &Withdraw),
        by: &By,
        is_check: bool,
    ) -> Result<Removed, UsersError> {
        let user = read(zoom, account, key).await?;
        let who = Who::from(&user);
        let is_take_back = what.list == List::Schedulers && what.who.is_none();
        if is_take_back && !by.is_operator && account.api_users.iter().any(|key| who.is_named(key)) {
            return Err(UsersError::OperatorsDo("takes everything back that was granted to an API user"));
        }
        let Found { lost, host } = found(zoom, account, (user, &who), what).await?;
        if let Some(max) = what.at_most.filter(|max| lost.len() > *max) {
            let (count, list) = (lost.len(), word(what.list));
            let why = format!("{who} has {count} {list}s by now, which is more than the {max} that were agreed to");
            return Err(UsersError::Refused(why));
        }
        let rules = self.rules_for(account, zoom, &lost, host.as_ref()).await?;
        if !is_check && !lost.is_empty() {
            self.withdraw(account, zoom, (&who, what), (&lost, host.as_ref()), by).await?;
        }
        Ok(Removed { user: who, lost, rules })
    }

    /// Takes it away, on record, and reads that back.
    async fn withdraw(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        (user, what): (&Who, &Withdraw),
        (lost, host): (&[Grant], Option<&Host>),
        by: &By,
    ) -> Result<(), UsersError> {
        let lending = self.parts.facts.lending(&account.id);
        let _nothing_is_lent_meanwhile = lending.lock().await;
        let by_hand = ByHand { parts: &self.parts, account, subject: subject(user) };
        let named = names(others(lost, what.list));
        let words = match what.who {
            Some(_) => format!("remove {} {named}", word(what.list)),
            None => format!("remove all {}s: {named}", word(what.list)),
        };
        let intent = by_hand.intend(&words, &by.actor).await?;
        let changed = match edit(user, what, lost) {
            Some(edit) => zoom.change(&intent, edit).await.map(drop),
            None => Err(ZoomError::Unreadable("Zoom does not say who that is".to_owned())),
        };
        let left = match changed {
            // Whoever is gone may nothing any more.
            Ok(()) | Err(ZoomError::NotFound(_)) => left(zoom, user, lost, host).await,
            Err(error) => Err(error),
        };
        match left {
            Ok(left) if left.is_empty() => {
                by_hand.changed(&words).await?;
                self.forget_answers(account, lost);
                self.forget_words(lost).await
            }
            Ok(left) => {
                let still = names(others(&left, what.list));
                let why = format!("Zoom confirmed to {words}, and reading it back shows still: {still}");
                by_hand.parked(why.clone()).await?;
                Err(UsersError::Refused(why))
            }
            Err(error) => {
                by_hand.parked(format!("{words}: {error}")).await?;
                Err(error.into())
            }
        }
    }

    /// That it is for good where it was lent is true of nothing that is taken away.
    async fn forget_words(&self, lost: &[Grant]) -> Result<(), UsersError> {
        let ids: Vec<_> =
            lost.iter().filter_map(|grant| grant.user.id.as_ref().zip(grant.assistant.id.as_ref())).collect();
        Ok(not_for_good(&*self.parts.store, &ids, self.parts.clock.now()).await?)
    }

    /// That all was right with these users, against Zoom's lists, says nothing any more.
    fn forget_answers(&self, account: &Account, lost: &[Grant]) {
        let roster = std::sync::Arc::clone(&self.parts.roster.borrow());
        for rule in roster.rules_of(account).iter().filter(|rule| !rule.ensure.assistants.is_empty()) {
            for Grant { user, .. } in lost {
                let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
                self.parts.facts.not_answered(&account.id, rule, &subject);
            }
        }
    }
}

const fn word(list: List) -> &'static str {
    match list {
        List::Assistants => "assistant",
        List::Schedulers => "scheduler",
    }
}

/// The other sides of these.
fn others(lost: &[Grant], which: List) -> impl ExactSizeIterator<Item = &Who> {
    lost.iter().map(move |grant| match which {
        List::Assistants => &grant.assistant,
        List::Schedulers => &grant.user,
    })
}

fn edit(user: &Who, what: &Withdraw, lost: &[Grant]) -> Option<Edit> {
    let of = user.key()?;
    let one = || others(lost, what.list).next().and_then(Who::key);
    Some(match (what.list, &what.who) {
        (List::Assistants, Some(_)) => Edit::RemoveAssistant { of, who: one()? },
        (List::Assistants, None) => Edit::RemoveAssistants { of },
        (List::Schedulers, Some(_)) => Edit::RemoveScheduler { of, who: one()? },
        (List::Schedulers, None) => Edit::RemoveSchedulers { of },
    })
}

async fn found(
    zoom: &dyn Zoom,
    account: &Account,
    (user, who): (User, &Who),
    what: &Withdraw,
) -> Result<Found, UsersError> {
    let nobody = || ZoomError::Unreadable("Zoom states neither the user's id nor the email".to_owned());
    let of = who.key().ok_or_else(nobody)?;
    match (what.list, &what.who) {
        (List::Assistants, None) => {
            let there = zoom.assistants(&of).await?.into_iter().map(Who::from);
            let lost = there.map(|assistant| Grant { assistant, user: who.clone() }).collect();
            Ok(Found { lost, host: Some(Host { user, left: Vec::new() }) })
        }
        (List::Schedulers, None) => {
            let there = zoom.schedulers(&of).await?.into_iter().map(Who::from);
            let lost = there.map(|user| Grant { assistant: who.clone(), user }).collect();
            Ok(Found { lost, host: None })
        }
        (List::Assistants, Some(key)) => {
            let there = zoom.assistants(&of).await?;
            let is_named = |one: &Assistant| Who::from(one.clone()).is_named(key);
            // The list may name somebody otherwise than whoever asks.
            let other = if there.iter().any(is_named) { None } else { known(zoom, account, key).await? };
            let other = other.as_ref().map(Who::from);
            one_of(there, user, |one| one.is_named(key) || other.as_ref().is_some_and(|other| one.is(other)))
                .ok_or_else(|| UsersError::NotThere(format!("{key} is no assistant of {who}")))
        }
        (List::Schedulers, Some(key)) => {
            // Zoom may cut the list of schedulers short, and not that of the other side.
            let host = read(zoom, account, key).await?;
            let none =
                || UsersError::NotThere(format!("{key} is no scheduler of {who}: {who} cannot schedule for {key}"));
            let there = zoom.assistants(&Who::from(&host).key().ok_or_else(nobody)?).await?;
            one_of(there, host, |one| one.is(who)).ok_or_else(none)
        }
    }
}

/// The one of a user's assistants who is meant, parted from the others.
fn one_of(there: Vec<Assistant>, user: User, is_meant: impl Fn(&Who) -> bool) -> Option<Found> {
    let (meant, left): (Vec<_>, Vec<_>) = there.into_iter().partition(|one| is_meant(&Who::from(one.clone())));
    let assistant = Who::from(meant.into_iter().next()?);
    let lost = vec![Grant { assistant, user: Who::from(&user) }];
    Some(Found { lost, host: Some(Host { user, left }) })
}

/// Those who are there still.
async fn left(zoom: &dyn Zoom, user: &Who, lost: &[Grant], host: Option<&Host>) -> Result<Vec<Grant>, ZoomError> {
    let of = host.map_or_else(|| user.clone(), |host| Who::from(&host.user));
    let Some(key) = of.key() else { return Ok(Vec::new()) };
    let there = match host {
        Some(_) => zoom.assistants(&key).await.map(|there| there.into_iter().map(Who::from).collect::<Vec<_>>()),
        None => zoom.schedulers(&key).await.map(|there| there.into_iter().map(Who::from).collect()),
    };
    let there = match there {
        Err(ZoomError::NotFound(_)) => Vec::new(),
        there => there?,
    };
    Ok(match host {
        Some(_) => lost.iter().filter(|grant| there.iter().any(|one| one.is(&grant.assistant))).cloned().collect(),
        None => there.into_iter().map(|one| Grant { assistant: user.clone(), user: one }).collect(),
    })
}
