//! Reads what a check needs, and no more.

use super::MoveAsked;
use super::check::{Checked, Principal, Sight, can_be_alternative, can_be_anew, check, principals};
use super::other::fits;
use crate::account::{Account, UserKey};
use crate::ids::UserId;
use crate::work::Kin;
use crate::work::errand::Refusal;
use crate::zoom::{Meeting, User, Zoom, ZoomError};

/// What was read, and what it says.
#[derive(Debug)]
pub struct Looked {
    /// None where Zoom does not know it.
    pub meeting: Option<Meeting>,
    pub to: Option<User>,
    pub checked: Checked,
    /// Refused, the new host could be an alternative one.
    pub can_be_alternative: bool,
    /// Refused, another meeting could take its place; unless this one has more settings than that could take over. None where the
    /// new host could not host it.
    pub anew: Option<Result<(), Refusal>>,
}

/// Where it is looked: in the account of the meeting, and for people also in the others of its organisation.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    pub account: &'a Account,
    pub zoom: &'a dyn Zoom,
    pub kin: &'a [Kin],
}

impl Within<'_> {
    /// The user, and the other account whose token reads them, where it is one.
    async fn user(&self, key: &UserKey) -> Result<Option<(User, Option<&Kin>)>, ZoomError> {
        match self.zoom.user(key).await {
            Ok(user) => {
                let home = user.home().and_then(|home| self.kin.iter().find(|kin| kin.account.as_str() == home));
                return Ok(Some((user, home)));
            }
            Err(ZoomError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        for kin in self.kin {
            match kin.zoom.user(key).await {
                Ok(user) => return Ok(Some((user, Some(kin)))),
                // What cannot be had soon is not there: another account's trouble must not stop this one's work.
                Err(error @ (ZoomError::Transient(_) | ZoomError::Limited { .. })) => {
                    let why = format!("account {} of the organisation cannot be asked: {error}", kin.account);
                    return Err(ZoomError::Transient(why));
                }
                Err(error) => {
                    tracing::debug!(account = %kin.account, %error, "an account of the organisation is passed over");
                }
            }
        }
        Ok(None)
    }
}

/// Looks whether Zoom will take it. Changes nothing.
pub async fn look(
    within: Within<'_>,
    asked: &MoveAsked,
    remembered: Option<&UserId>,
    refused: &[UserId],
) -> Result<Looked, ZoomError> {
    let Within { account, zoom, .. } = within;
    let meeting = match known(zoom.meeting(asked.meeting).await)? {
        Ok(meeting) => meeting,
        Err(why) => return Ok(unknown(asked, why)),
    };
    let (to, home) = match within.user(&asked.to).await {
        Ok(found) => found.map_or((None, None), |(user, home)| (Some(user), home)),
        Err(ZoomError::Pending(_)) => {
            (Some(User { status: crate::zoom::Status::Pending, kind: Some(2), ..User::default() }), None)
        }
        Err(error) => return Err(error),
    };
    let candidates = principals(&meeting, remembered, refused);
    let key = to.as_ref().and_then(|user| user.id.clone()).map_or_else(|| asked.to.clone(), UserKey::Id);
    let mut first: Option<Checked> = None;
    let sight = Sight {
        account: &account.id,
        meeting: &meeting,
        key: &asked.to,
        to: to.as_ref(),
        home: home.map(|kin| &kin.account),
        principal: None,
        is_apart: false,
        assistants: &[],
    };
    let is_alternative = can_be_alternative(&sight);
    let anew = can_be_anew(&sight).then(|| fits(&meeting));
    let mut assistants = None;
    // The first who may is enough; of those who may not the favoured one is told of.
    for by in candidates.iter().map(Some).chain(candidates.is_empty().then_some(None)) {
        // What needs no further calls comes first.
        let early = check(&Sight { principal: by.map(|by| (by, to.as_ref())), ..sight });
        let checked = match by {
            Some(by) if is_about_privilege(&early) => {
                let (user, of) = match within.user(&UserKey::Id(by.id.clone())).await? {
                    Some((user, of)) => (Some(user), of.map(|kin| &kin.account)),
                    None => (None, None),
                };
                let is_apart = user.is_some() && of != sight.home;
                if assistants.is_none() {
                    assistants = Some(home.map_or(zoom, |kin| &*kin.zoom).assistants(&key).await?);
                }
                let email = user.as_ref().and_then(|user| user.email.as_ref());
                let name = email.map_or_else(|| by.name.clone(), ToString::to_string);
                let by = Principal { name, ..by.clone() };
                let there = assistants.as_deref().unwrap_or_default();
                check(&Sight { principal: Some((&by, user.as_ref())), is_apart, assistants: there, ..sight })
            }
            _ => early,
        };
        if !matches!(checked, Checked::No { .. }) {
            first = Some(checked);
            break;
        }
        first.get_or_insert(checked);
    }
    let checked = first.unwrap_or(Checked::Already);
    Ok(Looked { meeting: Some(meeting), to, checked, can_be_alternative: is_alternative, anew })
}

/// Whether more has to be read before it is true.
fn is_about_privilege(checked: &Checked) -> bool {
    let codes = ["no-privilege", "assistants-full", "principal-gone", "principal-inactive", "principal-unlicensed"];
    matches!(checked, Checked::No { refusal, .. } if codes.contains(&refusal.code.as_str()))
}

/// What Zoom refuses to show, as the reason why.
fn known(read: Result<Meeting, ZoomError>) -> Result<Result<Meeting, Refusal>, ZoomError> {
    let refusal = |code: &str, why: String| Refusal { code: code.to_owned(), why, advice: None };
    match read {
        Ok(meeting) => Ok(Ok(meeting)),
        Err(ZoomError::NotFound(_)) => {
            Ok(Err(refusal("meeting-unknown", "Zoom does not know the meeting: it was deleted, or is over".to_owned())))
        }
        Err(ZoomError::NotMovable(said)) => Ok(Err(refusal("webinar", format!("Zoom says: {said}")))),
        Err(error) => Err(error),
    }
}

fn unknown(asked: &MoveAsked, mut refusal: Refusal) -> Looked {
    refusal.why = format!("meeting {}: {}", asked.meeting, refusal.why);
    let checked = Checked::No { refusal, lacks: None };
    Looked { meeting: None, to: None, checked, can_be_alternative: false, anew: None }
}

/// What else could be asked for, where it is refused.
pub(super) fn with_offers(
    looked: &Looked,
    refusal: &Refusal,
    is_lendable: bool,
    (asked, may_lend): (&MoveAsked, bool),
) -> Refusal {
    let mut offers: Vec<String> = refusal.advice.clone().into_iter().collect();
    match (is_lendable, asked.lend, may_lend) {
        (true, false, true) => offers.push("--lend grants the privilege for this move alone".to_owned()),
        (true, true, false) => {
            offers.push("--lend was not used: [moves] lend is false, and counts from a start".to_owned());
        }
        (true, false, false) => {
            offers.push("the privilege can be lent for this move alone, where [moves] lend = true".to_owned());
        }
        _ => {}
    }
    if looked.can_be_alternative && !asked.alternative {
        offers.push(format!("--alternative makes {} an alternative host, who can start it", asked.to));
    }
    if looked.anew == Some(Ok(())) && !asked.recreate {
        offers.push("--recreate makes a new meeting, with another link".to_owned());
    }
    let advice = (!offers.is_empty()).then(|| offers.join("; "));
    Refusal { advice, ..refusal.clone() }
}
