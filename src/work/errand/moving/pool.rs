//! Whether a meeting could be given to another host through the account's API users, whoever that host is: what an API user made
//! can be, since those may schedule for everybody.

use std::collections::HashMap;

use super::check::{of_kind, of_nobody, of_principal, principals};
use super::{Principal, Refusal};
use crate::account::UserKey;
use crate::ids::{MeetingId, UserId};
use crate::work::judge::{Need, Verdict};
use crate::work::meeting::{Movable, movable};
use crate::work::{Around, Facts};
use crate::zoom::{Meeting, User, Zoom, ZoomError};

/// What was read, and what it says.
#[derive(Debug)]
pub struct InPool {
    /// None where Zoom shows no meeting, but a webinar.
    pub meeting: Option<Meeting>,
    /// Whose privilege counts, and that it is an API user's; or the one thing that is missing.
    pub said: Result<String, Refusal>,
}

/// One look at many meetings of an account. Users are read once.
#[derive(Debug)]
pub struct Pool<'a> {
    around: Around<'a>,
    zoom: &'a dyn Zoom,
    facts: &'a Facts,
    users: HashMap<UserId, Option<User>>,
}

impl<'a> Pool<'a> {
    pub fn new(around: Around<'a>, zoom: &'a dyn Zoom, facts: &'a Facts) -> Self {
        Self { around: around.with_nobody(), zoom, facts, users: HashMap::new() }
    }

    /// A user who was read just now.
    pub fn learn(&mut self, user: &User) {
        if let Some(id) = user.id.clone() {
            self.users.entry(id).or_insert_with(|| Some(user.clone()));
        }
    }

    /// None where the meeting is gone meanwhile.
    pub async fn look(&mut self, id: MeetingId, remembered: Option<&UserId>) -> Result<Option<InPool>, ZoomError> {
        let meeting = match self.zoom.meeting(id).await {
            Ok(meeting) => meeting,
            Err(ZoomError::NotFound(_)) => return Ok(None),
            Err(ZoomError::NotMovable(said)) => {
                let refusal = Refusal { code: "webinar".to_owned(), why: format!("Zoom says: {said}"), advice: None };
                return Ok(Some(InPool { meeting: None, said: Err(refusal) }));
            }
            Err(error) => return Err(error),
        };
        let said = self.said(&meeting, remembered).await?;
        Ok(Some(InPool { meeting: Some(meeting), said }))
    }

    async fn said(
        &mut self,
        meeting: &Meeting,
        remembered: Option<&UserId>,
    ) -> Result<Result<String, Refusal>, ZoomError> {
        if let Some(refusal) = of_kind(meeting) {
            return Ok(Err(refusal));
        }
        let Movable { by, is_running, why } = self.movable(meeting, remembered).await?;
        if by.is_some() {
            let when = if is_running { "; it is running, and can be moved when it has ended" } else { "" };
            return Ok(Ok(format!("{why}{when}")));
        }
        let Some(by) = principals(meeting, remembered, &[]).into_iter().next() else {
            return Ok(Err(of_nobody(meeting)));
        };
        let user = self.user(&by.id).await?;
        let email = user.as_ref().and_then(|user| user.email.as_ref());
        let by = Principal { name: email.map_or_else(|| by.name.clone(), ToString::to_string), ..by };
        let mut refusal = of_principal(&by, user.as_ref()).unwrap_or_else(|| of_others(meeting, &by));
        // Nothing brings back who is gone.
        refusal.advice.get_or_insert_with(|| {
            "`adjutant meetings move` with --recreate makes a new meeting, with another link".to_owned()
        });
        Ok(Err(refusal))
    }

    async fn movable(&mut self, meeting: &Meeting, remembered: Option<&UserId>) -> Result<Movable, ZoomError> {
        // Each API user is needed once.
        for _ in 0..=self.around.account.api_users.len() {
            match movable(&self.around, meeting, remembered) {
                Ok(movable) => return Ok(movable),
                Err(Verdict::Needs(Need::ApiUser(key))) => {
                    let (account, now) = (&self.around.account.id, self.around.now);
                    let known = self.facts.api_user(account, &key, self.zoom, now).await?;
                    self.around.learn(known);
                }
                Err(_) => break,
            }
        }
        Err(ZoomError::Unreadable("too much would have to be read".to_owned()))
    }

    async fn user(&mut self, id: &UserId) -> Result<Option<User>, ZoomError> {
        if let Some(known) = self.users.get(id) {
            return Ok(known.clone());
        }
        let read = match self.zoom.user(&UserKey::Id(id.clone())).await {
            Ok(user) => Some(user),
            Err(ZoomError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        self.users.insert(id.clone(), read.clone());
        Ok(read)
    }
}

/// Whose privilege counts could give it away, and only to those whom they assist.
fn of_others(meeting: &Meeting, by: &Principal) -> Refusal {
    let who = format!("{}, {},", by.name, by.why);
    let advice = "`adjutant meetings move` with --lend lends them the privilege for one move; with --recreate it makes a new \
                  meeting, with another link";
    let code = if meeting.host_id.as_ref() == Some(&by.id) { "own-path" } else { "other-scheduler" };
    let why = format!("{who} is no API user: the meeting can be given only to a host whom they assist");
    Refusal { code: code.to_owned(), why, advice: Some(advice.to_owned()) }
}
