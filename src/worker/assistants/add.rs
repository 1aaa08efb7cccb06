//! Assistants are added: what is missing is said before the call, and of each what came of it.

use super::{Assistants, names, subject};
use crate::account::{Account, UserKey};
use crate::ids::AccountId;
use crate::store::StoreError;
use crate::work::{Lack, Who, granted_for_good};
use crate::worker::by_hand::ByHand;
use crate::worker::onboard::called;
use crate::worker::take_back::stops_all;
use crate::worker::users::{UsersError, held, read};
use crate::zoom::{ASSISTANTS_MAX, Edit, Zoom, ZoomError};

/// What came of adding one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// Was there before.
    Already,
    /// Nothing speaks against it, and it was not asked to be done.
    Would,
    Added,
    Refused {
        code: &'static str,
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedOne {
    pub asked: UserKey,
    /// None where nobody knows them.
    pub who: Option<Who>,
    pub came: Came,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub user: Who,
    /// In the order in which they were asked for.
    pub each: Vec<AddedOne>,
}

/// Who adds, to whom, as whom.
struct Adding<'a> {
    zoom: &'a dyn Zoom,
    by_hand: ByHand<'a>,
    of: UserKey,
    actor: &'a str,
}

impl Assistants {
    /// Makes these assistants of the user; where `is_check`, it is only said what would come of it. An error is about the user,
    /// or about Zoom as a whole.
    pub async fn add(
        &self,
        account: &AccountId,
        (user, who): (&UserKey, &[UserKey]),
        actor: &str,
        is_check: bool,
    ) -> Result<Added, UsersError> {
        let (account, zoom) = held(&self.parts, account)?;
        let added = self.added(&account, &*zoom, (user, who), actor, is_check).await;
        called(&self.parts, &account, zoom.calls()).await?;
        added
    }

    async fn added(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        (key, who): (&UserKey, &[UserKey]),
        actor: &str,
        is_check: bool,
    ) -> Result<Added, UsersError> {
        let user = read(zoom, account, key).await?;
        let host = Who::from(&user);
        if let Some(lack) = Lack::of(&user) {
            let why = format!("{host} {}, and can have no assistants: {}", lack.in_words(), lack.to_do());
            return Err(UsersError::Lacks { code: lack.code(), why });
        }
        let of = host.key().unwrap_or_else(|| key.clone());
        let lending = self.parts.facts.lending(&account.id);
        let _nothing_is_taken_back_meanwhile = if is_check { None } else { Some(lending.lock().await) };
        let there: Vec<Who> = zoom.assistants(&of).await?.into_iter().map(Who::from).collect();
        let mut each = Vec::new();
        for asked in who {
            let one = looked_at(zoom, account, (&host, &there), asked, &each).await?;
            each.push(one);
        }
        keep_out_what_does_not_fit(&mut each, &host, there.len());
        if !is_check {
            let by_hand = ByHand { parts: &self.parts, account, subject: subject(&host) };
            let adding = Adding { zoom, by_hand, of, actor };
            let all = adding.all(&mut each).await;
            adding.is_for_good(&host, &each).await?;
            all?;
        }
        Ok(Added { user: host, each })
    }
}

impl Adding<'_> {
    /// What was lent of it for a while stays.
    async fn is_for_good(&self, host: &Who, each: &[AddedOne]) -> Result<(), StoreError> {
        let ByHand { parts, account, .. } = &self.by_hand;
        let there = each.iter().filter(|one| matches!(one.came, Came::Already | Came::Added));
        for who in there.filter_map(|one| one.who.as_ref()) {
            let (Some(of), Some(to)) = (&host.id, &who.id) else { continue };
            let told = (self.actor, parts.clock.now());
            if granted_for_good(&*parts.store, &account.id, (of, to), told).await? {
                self.by_hand
                    .changed(&format!("{who}, to whom it was lent, stays assistant, told by {}", self.actor))
                    .await?;
            }
        }
        Ok(())
    }

    /// All in one call; where Zoom refuses that, one by one, so that one whom it does not take keeps out no other.
    async fn all(&self, each: &mut [AddedOne]) -> Result<(), UsersError> {
        let wanted: Vec<Who> =
            each.iter().filter(|one| one.came == Came::Would).filter_map(|one| one.who.clone()).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        match self.some(&wanted).await? {
            Err(error) if stops_all(&error) => return Err(error.into()),
            Err(_) if wanted.len() > 1 => {}
            came => {
                settle(each, &wanted, &came);
                return Ok(());
            }
        }
        let mut stopped = None;
        for one in wanted {
            let one = [one];
            let came = match &stopped {
                Some(error) => Err(ZoomError::clone(error)),
                None => self.some(&one).await?,
            };
            stopped = stopped.or_else(|| came.as_ref().err().filter(|error| stops_all(error)).cloned());
            settle(each, &one, &came);
        }
        Ok(())
    }

    /// Makes these assistants, on record; who is one then.
    async fn some(&self, who: &[Who]) -> Result<Result<Vec<Who>, ZoomError>, StoreError> {
        let words = format!("add assistant {}", names(who.iter()));
        let intent = self.by_hand.intend(&words, self.actor).await?;
        let edit = Edit::AddAssistants { of: self.of.clone(), who: who.iter().filter_map(Who::key).collect() };
        let read = match self.zoom.change(&intent, edit).await {
            Err(error) if error != ZoomError::AlreadyGranted || who.len() > 1 => Err(error),
            _ => self.zoom.assistants(&self.of).await,
        };
        let read = read.map(|there| there.into_iter().map(Who::from).collect::<Vec<_>>());
        match &read {
            Ok(there) if who.iter().all(|one| there.iter().any(|other| other.is(one))) => {
                self.by_hand.changed(&words).await?;
            }
            Ok(_) => self.by_hand.parked(format!("{words}: {NOT_SHOWN}")).await?,
            Err(error) => self.by_hand.parked(format!("{words}: {error}")).await?,
        }
        Ok(read)
    }
}

const NOT_SHOWN: &str = "Zoom confirmed it, and reading it back does not show it";

/// What is known of one before the call. `before` are those who were asked for before.
async fn looked_at(
    zoom: &dyn Zoom,
    account: &Account,
    (host, there): (&Who, &[Who]),
    asked: &UserKey,
    before: &[AddedOne],
) -> Result<AddedOne, UsersError> {
    let one = |who: Option<Who>, came| AddedOne { asked: asked.clone(), who, came };
    if let Some(who) = there.iter().find(|who| who.is_named(asked)) {
        return Ok(one(Some(who.clone()), Came::Already));
    }
    let user = match read(zoom, account, asked).await {
        Err(error @ UsersError::NoUser(..)) => return Ok(one(None, refused("unknown", error.to_string()))),
        read => read?,
    };
    let who = Who::from(&user);
    let is_same = |other: &&AddedOne| other.who.as_ref().is_some_and(|other| other.is(&who));
    let came = match (Lack::of(&user), before.iter().find(is_same)) {
        _ if who.is(host) => refused("oneself", "nobody can be their own assistant".to_owned()),
        _ if there.iter().any(|other| other.is(&who)) => Came::Already,
        (_, Some(other)) => refused("twice", format!("is asked for as {} as well", other.asked)),
        (Some(lack), _) => refused(lack.code(), format!("{}: {}", lack.in_words(), lack.to_do())),
        (None, None) => Came::Would,
    };
    Ok(one(Some(who), came))
}

const fn refused(code: &'static str, why: String) -> Came {
    Came::Refused { code, why }
}

/// Which of them are meant where not all fit, nobody but whoever asks can say.
fn keep_out_what_does_not_fit(each: &mut [AddedOne], host: &Who, there: usize) {
    let new = each.iter().filter(|one| one.came == Came::Would).count();
    let room = ASSISTANTS_MAX.saturating_sub(there);
    if new <= room {
        return;
    }
    let why =
        format!("{host} has {there} assistants, and Zoom allows {ASSISTANTS_MAX}: {room} more fit, and not {new}");
    for one in each.iter_mut().filter(|one| one.came == Came::Would) {
        one.came = refused("full", why.clone());
    }
}

fn settle(each: &mut [AddedOne], who: &[Who], came: &Result<Vec<Who>, ZoomError>) {
    let is_meant =
        |one: &&mut AddedOne| one.came == Came::Would && one.who.as_ref().is_some_and(|one| who.contains(one));
    for one in each.iter_mut().filter(is_meant) {
        one.came = match (came, &one.who) {
            (Ok(there), Some(who)) if there.iter().any(|other| other.is(who)) => Came::Added,
            (Ok(_), _) => refused("not-effective", NOT_SHOWN.to_owned()),
            (Err(error), _) => refused(error.kind(), format!("Zoom: {error}")),
        };
    }
}
