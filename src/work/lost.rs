//! Hosts who can host no more: deactivated, without a licence, or gone, while meetings of theirs are to come. A person is told,
//! for as long as that is so. Reads Zoom, and changes nothing there.
//!
//! Guarantees: the notice stands until the host can host again, or has no upcoming meetings any more; of whoever is gone, it
//! says that Zoom lists nothing, and what was known before. Of whoever is gone and was not known to host anything nothing is
//! told: most who leave hosted nothing, and nobody can ask any more.

use std::time::Duration;

use super::{Ctx, End, Ended, Lack, failed};
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::ids::{AccountId, UserId};
use crate::job::{Effect, Job, Outcome, Snooze, Subject, WaitReason};
use crate::rules::LOST_HOST;
use crate::store::{Note, Notice, Store, StoreError};
use crate::zoom::{MeetingRow, User, Zoom, ZoomError};

/// The code of the notice about a host who is gone.
pub const GONE_HOST: &str = "gone-host";
/// Hosts of one account that are told of by name, for each code: all notices of an account are kept as one. Jobs that look at
/// the same time may make it a few more.
const HOSTS_MAX: usize = 200;
/// Who is not named is looked at again after that.
const UNNAMED_FOR: Duration = Duration::from_secs(86_400);
/// Meetings that a notice names.
const NAMED_MAX: usize = 10;
/// Of a topic, in a notice.
const TOPIC_CHARS_MAX: usize = 60;
const GONE: &str =
    "Zoom lists no meetings of who is gone: what was not transferred (transfer_meeting) went with the user";

/// One look at the host whom the job is about. An error is that of the store.
pub(super) async fn run(job: &Job, account: &Account, zoom: &dyn Zoom, ctx: &Ctx) -> Result<Outcome, StoreError> {
    let Subject::User { id, email } = &job.subject else { return Ok(nothing("it is about no user")) };
    let Some(key) = UserKey::of(id.as_ref(), email.as_ref()) else { return Ok(nothing("it is about nobody")) };
    let look = Look { job, account, zoom, ctx, key };
    look.go().await.or_else(End::outcome)
}

fn nothing(why: &str) -> Outcome {
    Outcome::Done(Effect::NotApplicable { why: why.to_owned() })
}

/// Whether the notice is about a host who can host no more, and about whom.
pub fn lost(notice: &Notice) -> Option<Subject> {
    (notice.code == LOST_HOST).then(|| Subject::read(notice.subject.as_deref()?)).flatten()
}

/// Asks for another look at a host about whom a notice stands, as where a meeting of theirs has just moved.
pub(super) async fn look_again(ctx: &Ctx, account: &Account, host: Option<&UserId>) -> Result<(), StoreError> {
    let Some(host) = host else { return Ok(()) };
    let subject = Subject::User { id: Some(host.clone()), email: None };
    let Some(about) = standing(&*ctx.store, &account.id, LOST_HOST, &subject).await?.as_ref().and_then(lost) else {
        return Ok(());
    };
    let asked = crate::rules::look_at_host(&account.app, &account.id, about);
    ctx.store.ask(vec![asked], "a meeting of the host moved", ctx.clock.now()).await.map(drop)
}

async fn standing(
    store: &dyn Store,
    account: &AccountId,
    code: &str,
    about: &Subject,
) -> Result<Option<Notice>, StoreError> {
    let is_it = |notice: &Notice| {
        let subject = notice.subject.as_deref().and_then(Subject::read);
        notice.code == code && subject.is_some_and(|subject| subject.is_same(about))
    };
    Ok(store.notices_of(account).await?.into_iter().find(is_it))
}

struct Look<'a> {
    job: &'a Job,
    account: &'a Account,
    zoom: &'a dyn Zoom,
    ctx: &'a Ctx,
    key: UserKey,
}

impl Look<'_> {
    async fn go(&self) -> Ended<Outcome> {
        // Most users host nothing: one call says so.
        let listed = match super::orphaned::upcoming(self.zoom, &self.key).await {
            Ok((rows, _)) if rows.is_empty() => {
                self.over(LOST_HOST).await?;
                return Ok(nothing("no upcoming meetings"));
            }
            Ok(listed) => Some(listed),
            Err(ZoomError::NotFound(_)) => None,
            Err(ZoomError::ScopesMissing(scopes)) => {
                return Ok(nothing(&format!("nothing can be said of meetings: the app lacks the scopes {scopes}")));
            }
            Err(error) => return Err(self.failed(error)),
        };
        let user = match self.zoom.user(&self.key).await {
            Ok(user) => user,
            Err(ZoomError::NotFound(_)) => return self.gone().await,
            Err(error) => return Err(self.failed(error)),
        };
        let reason = match Lack::of(&user) {
            Some(Lack::Inactive) => WaitReason::UserInactive,
            Some(Lack::Unlicensed) => WaitReason::UserUnlicensed,
            Some(Lack::Pending | Lack::Unknown) | None => {
                self.over(LOST_HOST).await?;
                return Ok(nothing("the user can host"));
            }
        };
        let before = self.standing(LOST_HOST).await?;
        let Some((rows, is_cut)) = listed else {
            let Some(before) = before else { return Ok(nothing("Zoom lists no meetings of the user")) };
            let what = also(&before.what, "Zoom lists them no more");
            if what != before.what {
                self.tell(LOST_HOST, (Some(&user), Some(&before)), what).await?;
            }
            return Err(End::waits(reason));
        };
        if before.is_none() && self.is_full(LOST_HOST).await? {
            return Err(self.unnamed().await?);
        }
        let what = in_words(&user, reason, (&rows, is_cut));
        if before.as_ref().is_none_or(|before| before.what != what) {
            self.tell(LOST_HOST, (Some(&user), before.as_ref()), what).await?;
            // The store has a limit of its own.
            if self.standing(LOST_HOST).await?.is_none() {
                return Err(self.unnamed().await?);
            }
        }
        Err(End::waits(reason))
    }

    /// Zoom does not know the user any more.
    async fn gone(&self) -> Ended<Outcome> {
        if self.standing(GONE_HOST).await?.is_some() {
            self.over(LOST_HOST).await?;
            return Ok(Outcome::Done(Effect::AlreadyRight));
        }
        let Some(before) = self.standing(LOST_HOST).await? else {
            return Ok(nothing("Zoom does not know the user any more, and nothing is known of meetings"));
        };
        let what = also(&before.what, GONE);
        if self.is_full(GONE_HOST).await? {
            self.tell_of_more(GONE_HOST, "more hosts are gone than are named here: the audit log has all").await?;
        } else {
            self.tell(GONE_HOST, (None, Some(&before)), what.clone()).await?;
        }
        self.over(LOST_HOST).await?;
        Ok(Outcome::Done(Effect::Reported { what }))
    }

    async fn standing(&self, code: &str) -> Ended<Option<Notice>> {
        Ok(standing(&*self.ctx.store, &self.account.id, code, &self.job.subject).await?)
    }

    /// Whether as many are told of by name as may be.
    async fn is_full(&self, code: &str) -> Ended<bool> {
        let standing = self.ctx.store.notices_of(&self.account.id).await?;
        Ok(standing.iter().filter(|notice| notice.code == code && notice.subject.is_some()).count() >= HOSTS_MAX)
    }

    /// It is told that there are more, and this one is named when there is room.
    async fn unnamed(&self) -> Ended<End> {
        let why = "more hosts who can host no more have upcoming meetings than are named here: the others are looked at once a \
                   day, and named when there is room";
        self.tell_of_more(LOST_HOST, why).await?;
        let (at, why) = (self.ctx.clock.now().plus(UNNAMED_FOR), "as many hosts are told of as may be".to_owned());
        Ok(End::Outcome(Outcome::Snooze(Snooze::NextBudget { at, why })))
    }

    async fn tell_of_more(&self, code: &str, what: &str) -> Ended<()> {
        let standing = self.ctx.store.notices_of(&self.account.id).await?;
        if standing.iter().any(|notice| notice.code == code && notice.subject.is_none()) {
            return Ok(());
        }
        self.note(code, Detail::note(what)).await
    }

    /// One that stands says the newest.
    async fn tell(&self, code: &str, (user, before): (Option<&User>, Option<&Notice>), what: String) -> Ended<()> {
        let mut about = self.job.subject.clone();
        if let Some(user) = user {
            about.learn(&Subject::User { id: user.id.clone(), email: user.email.clone() });
        }
        let subject = before.and_then(|before| before.subject.clone()).unwrap_or_else(|| about.to_string());
        self.note(code, Detail { subject: Some(subject), note: what, ..Detail::default() }).await
    }

    async fn note(&self, code: &str, detail: Detail) -> Ended<()> {
        let note = Note {
            kind: Kind::Attention,
            app: Some(self.account.app.clone()),
            account: Some(self.account.id.clone()),
            code: code.to_owned(),
            detail,
        };
        Ok(self.ctx.store.note(note, self.ctx.clock.now()).await?)
    }

    async fn over(&self, code: &str) -> Ended<()> {
        if let Some(notice) = self.standing(code).await? {
            self.ctx.store.mend(&notice, self.ctx.clock.now()).await?;
        }
        Ok(())
    }

    fn failed(&self, error: ZoomError) -> End {
        failed(self.job, self.ctx.clock.now(), error)
    }
}

/// Said once.
fn also(before: &str, more: &str) -> String {
    if before.ends_with(more) { before.to_owned() } else { format!("{before}. {more}") }
}

/// Some are pages long.
fn short(topic: &str) -> String {
    match topic.char_indices().nth(TOPIC_CHARS_MAX) {
        Some((end, _)) => format!("{}…", topic.get(..end).unwrap_or_default()),
        None => topic.to_owned(),
    }
}

fn in_words(user: &User, reason: WaitReason, (rows, is_cut): (&[MeetingRow], bool)) -> String {
    let who = user.email.as_ref().map_or_else(|| "the user".to_owned(), ToString::to_string);
    let lack = if reason == WaitReason::UserInactive { Lack::Inactive } else { Lack::Unlicensed };
    let count = match rows.len() {
        1 => "1 upcoming meeting".to_owned(),
        count if is_cut => format!("more than {count} upcoming meetings"),
        count => format!("{count} upcoming meetings"),
    };
    let one = |row: &MeetingRow| {
        let topic = row.topic.as_ref().map_or_else(String::new, |topic| format!(" {}", short(topic)));
        let start = row.start.map_or_else(String::new, |start| format!(" at {start}"));
        format!("{}{topic}{start}", row.id)
    };
    let named: Vec<String> = rows.iter().take(NAMED_MAX).map(one).collect();
    let more = rows.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 || is_cut { ", and more" } else { "" };
    format!("{who} {}, and hosts {count}: {}{more}", lack.in_words(), named.join(", "))
}
