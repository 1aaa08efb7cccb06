//! The API users of the account are assistants of a user.

use crate::account::UserKey;
use crate::ids::{Email, UserId};
use crate::job::{Effect, ParkCause, WaitReason};
use crate::zoom::{Assistant, Status, User, ZoomError};

use super::facts::is_key;
use super::{ApiUser, End, Ended, Guard, Hand, Task};

/// Zoom's limit of assistants for one user.
const ASSISTANTS_MAX: usize = 30;

pub(super) async fn ensure(task: &Task<'_>, id: Option<&UserId>, email: Option<&Email>) -> Ended<Effect> {
    let asked = match (id, email) {
        (Some(id), _) => UserKey::Id(id.clone()),
        (None, Some(email)) => UserKey::Email(email.clone()),
        (None, None) => return Err(End::not_applicable("the event names no user")),
    };
    let user = task.user_or_listed(&asked).await?;
    applies(task, &user, email).await?;
    task.condition("user", &user.whole)?;
    eligible(&user)?;
    let of = user.id.clone().map_or(asked, UserKey::Id);
    let there = task.zoom.assistants(&of).await.map_err(|error| task.failed(error))?;
    let missing = missing(task, &user, &there).await?;
    let (usable, unusable): (Vec<_>, Vec<_>) = missing.into_iter().partition(|api| api.unusable.is_none());
    let room = ASSISTANTS_MAX.saturating_sub(there.len());
    let fitting = usable.get(..room).unwrap_or(&usable);
    let what = in_words(fitting);
    let effect = match task.hand {
        _ if fitting.is_empty() => Effect::AlreadyRight,
        Hand::Observe => Effect::WouldChange { what },
        Hand::Enforce(guard) => {
            grant(task, guard, &of, fitting).await?;
            read_back(task, &of, fitting).await?;
            Effect::Changed { what }
        }
    };
    // What could be done is done; what could not needs a person.
    if fitting.len() < usable.len() {
        Err(End::park(ParkCause::AssistantsFull))
    } else if unusable.is_empty() {
        Ok(effect)
    } else {
        Err(unusable_end(&unusable))
    }
}

/// Whether the rule is about this user at all: nobody excepted, and never an API user.
async fn applies(task: &Task<'_>, user: &User, told: Option<&Email>) -> Ended<()> {
    // The event's email is the newer one where Zoom does not state any.
    let email = user.email.as_ref().or(told);
    if let Some(key) = task.ctx.facts.is_api_user(task.account, user.id.as_ref(), email) {
        // An event about an API user brought us here, and it may be the one that makes it unusable.
        task.ctx.facts.saw_api_user(&task.account.id, &key, user.clone(), task.ctx.clock.now());
        task.api_user(&key).await?;
        return Err(an_api_user());
    }
    if email.is_none() && !task.rule.except.is_empty() {
        return Err(End::retry("Zoom does not say the user's email, and the rule excepts some users"));
    }
    if task.is_excepted(email) {
        return Err(End::not_applicable("the user is excepted by the rule"));
    }
    Ok(())
}

fn an_api_user() -> End {
    End::not_applicable("the user is an API user itself")
}

/// Active and Licensed or On-prem, or what the user waits for.
fn eligible(user: &User) -> Ended<()> {
    match user.status {
        Status::Pending => Err(End::waits(WaitReason::UserPending)),
        Status::Inactive => Err(End::waits(WaitReason::UserInactive)),
        Status::Unknown => Err(End::retry("Zoom does not say whether the user is active")),
        Status::Active if !user.is_licensed() => Err(End::waits(WaitReason::UserUnlicensed)),
        Status::Active => Ok(()),
    }
}

/// The API users that are not among these assistants, as Zoom knows them.
async fn missing(task: &Task<'_>, of: &User, there: &[Assistant]) -> Ended<Vec<ApiUser>> {
    if task.account.api_users.is_empty() {
        let detail = "the account has no API user configured".to_owned();
        return Err(End::park(ParkCause::ApiUserUnusable { detail }));
    }
    let mut missing = Vec::new();
    for key in &task.account.api_users {
        // The list may name an assistant by id alone, and the configuration by email alone.
        if !there.iter().any(|one| is_key(key, one.id.as_ref(), one.email.as_ref())) {
            let api = task.api_user(key).await?;
            // The configuration may name it otherwise than the event.
            if api.is(of.id.as_ref(), of.email.as_ref()) {
                return Err(an_api_user());
            }
            if !contains(there, &api) && !missing.iter().any(|other: &ApiUser| other.is(api.id.as_ref(), None)) {
                missing.push(api);
            }
        }
    }
    Ok(missing)
}

fn contains(there: &[Assistant], api: &ApiUser) -> bool {
    there.iter().any(|one| api.is(one.id.as_ref(), one.email.as_ref()))
}

fn in_words(apis: &[ApiUser]) -> String {
    let names: Vec<&str> = apis.iter().map(|api| api.key.as_str()).collect();
    format!("add assistant {}", names.join(", "))
}

fn unusable_end(apis: &[ApiUser]) -> End {
    let each = apis.iter().map(|api| format!("{}: {}", api.key, api.unusable.as_deref().unwrap_or_default()));
    End::park(ParkCause::ApiUserUnusable { detail: each.collect::<Vec<_>>().join("; ") })
}

/// One intent for all of them: to the rule's limits, a user is one change.
async fn grant(task: &Task<'_>, guard: &dyn Guard, of: &UserKey, apis: &[ApiUser]) -> Ended<()> {
    let intent = task.intend(guard, in_words(apis)).await?;
    for api in apis {
        match task.zoom.add_assistant(&intent, of, &api.key).await {
            // What was granted meanwhile is read back like what we granted.
            Ok(()) | Err(ZoomError::AlreadyGranted) => {}
            Err(error @ (ZoomError::Unlicensed(_) | ZoomError::NotFound(_))) => {
                return Err(blame(task, of, api, error).await?);
            }
            Err(error) => return Err(task.failed(error)),
        }
    }
    Ok(())
}

/// Zoom does not say which of the two users it means, so both are read.
async fn blame(task: &Task<'_>, of: &UserKey, api: &ApiUser, error: ZoomError) -> Ended<End> {
    eligible(&task.user(of).await?)?;
    task.ctx.facts.forget_api_user(&task.account.id, &api.key);
    let api = task.api_user(&api.key).await?;
    if api.unusable.is_some() {
        return Ok(unusable_end(&[api]));
    }
    Ok(End::retry(format!("{error}, though both users look as they should")))
}

async fn read_back(task: &Task<'_>, of: &UserKey, granted: &[ApiUser]) -> Ended<()> {
    let there = task.zoom.assistants(of).await.map_err(|error| task.failed(error))?;
    let absent: Vec<&str> = granted.iter().filter(|api| !contains(&there, api)).map(|api| api.key.as_str()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    // Zoom answers success to writes on pending users and does nothing.
    eligible(&task.user(of).await?)?;
    Err(task.not_effective(format!("not among the assistants: {}", absent.join(", "))))
}
