//! Reads what a check needs, and no more.

use super::MoveAsked;
use super::check::{Checked, Principal, Sight, can_be_alternative, check, principals};
use crate::account::{Account, UserKey};
use crate::ids::UserId;
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
}

/// Looks whether Zoom will take it. Changes nothing.
pub async fn look(
    account: &Account,
    zoom: &dyn Zoom,
    asked: &MoveAsked,
    remembered: Option<&UserId>,
    refused: &[UserId],
) -> Result<Looked, ZoomError> {
    let meeting = match known(zoom.meeting(asked.meeting).await)? {
        Ok(meeting) => meeting,
        Err(why) => return Ok(unknown(asked, why)),
    };
    let to = match zoom.user(&asked.to).await {
        Ok(user) => Some(user),
        Err(ZoomError::NotFound(_)) => None,
        Err(ZoomError::Pending(_)) => {
            Some(User { status: crate::zoom::Status::Pending, kind: Some(2), ..User::default() })
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
        principal: None,
        assistants: &[],
    };
    let is_alternative = can_be_alternative(&sight);
    let mut assistants = None;
    // The first who may is enough; of those who may not the favoured one is told of.
    for by in candidates.iter().map(Some).chain(candidates.is_empty().then_some(None)) {
        // What needs no further calls comes first.
        let early = check(&Sight { principal: by.map(|by| (by, to.as_ref())), ..sight });
        let checked = match by {
            Some(by) if is_about_privilege(&early) => {
                let user = named(zoom, by).await?;
                if assistants.is_none() {
                    assistants = Some(zoom.assistants(&key).await?);
                }
                let email = user.as_ref().and_then(|user| user.email.as_ref());
                let name = email.map_or_else(|| by.name.clone(), ToString::to_string);
                let by = Principal { name, ..by.clone() };
                let there = assistants.as_deref().unwrap_or_default();
                check(&Sight { principal: Some((&by, user.as_ref())), assistants: there, ..sight })
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
    Ok(Looked { meeting: Some(meeting), to, checked, can_be_alternative: is_alternative })
}

/// Whether more has to be read before it is true.
fn is_about_privilege(checked: &Checked) -> bool {
    let codes = ["no-privilege", "assistants-full", "principal-gone", "principal-inactive", "principal-unlicensed"];
    matches!(checked, Checked::No { refusal, .. } if codes.contains(&refusal.code.as_str()))
}

async fn named(zoom: &dyn Zoom, by: &Principal) -> Result<Option<User>, ZoomError> {
    match zoom.user(&UserKey::Id(by.id.clone())).await {
        Ok(user) => Ok(Some(user)),
        Err(ZoomError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
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
    Looked { meeting: None, to: None, checked: Checked::No { refusal, lacks: None }, can_be_alternative: false }
}

/// What else could be asked for, where it is refused.
pub fn with_offers(looked: &Looked, asked: &MoveAsked, may_lend: bool) -> Option<Refusal> {
    let Checked::No { refusal, lacks } = &looked.checked else { return None };
    let mut offers: Vec<String> = refusal.advice.clone().into_iter().collect();
    match (lacks, asked.lend, may_lend) {
        (Some(_), false, true) => offers.push("--lend grants the privilege for this move alone".to_owned()),
        (Some(_), true, false) => {
            offers.push("--lend was not used: [moves] lend is false, and counts from a start".to_owned());
        }
        (Some(_), false, false) => {
            offers.push("the privilege can be lent for this move alone, where [moves] lend = true".to_owned());
        }
        _ => {}
    }
    if looked.can_be_alternative && !asked.alternative {
        offers.push(format!("--alternative makes {} an alternative host, who can start it", asked.to));
    }
    if looked.meeting.is_some() && looked.to.is_some() && refusal.code != "in-progress" && !asked.recreate {
        offers.push("--recreate makes a new meeting, with another link".to_owned());
    }
    let advice = (!offers.is_empty()).then(|| offers.join("; "));
    Some(Refusal { advice, ..refusal.clone() })
}
