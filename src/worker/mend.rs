//! Ends notices whose reason is gone, and begins those that nobody is there to see.

use std::time::Duration;

use super::lists::GROUP;
use super::refused::{REFUSED, is_moot};
use super::{Parts, Roster, silence};
use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::ids::{AccountId, RuleName};
use crate::rules::LOST_HOST;
use crate::store::{JobFilter, Notice, Store, StoreError};
use crate::work::GONE_HOST;

/// Nobody can ask Zoom whether the meetings of a host who is gone were seen to.
const GONE_FOR: Duration = Duration::from_secs(7 * 86_400);
/// How long a token that Zoom gave before an app was removed may still be good for.
const TOKEN_LIVES: Duration = Duration::from_secs(3600);

/// Looks at all that stand. Nothing is asked of Zoom: what jobs and sweeps saw is enough.
pub async fn mend(parts: &Parts) -> Result<(), StoreError> {
    let roster = std::sync::Arc::clone(&parts.roster.borrow());
    let standing = parts.store.notices().await?;
    for notice in &standing {
        if is_mended(parts, &roster, notice).await? {
            parts.store.mend(notice, parts.clock.now()).await?;
        }
    }
    silence::tell(parts, &standing).await
}

async fn is_mended(parts: &Parts, roster: &Roster, notice: &Notice) -> Result<bool, StoreError> {
    let Some(account) = roster.by_id(&notice.account) else { return Ok(true) };
    match notice.code.as_str() {
        "api-user-gone" => Ok(is_api_user_back(parts, roster, account, notice)),
        super::backfill::FAILED => {
            let read_until = parts.store.sweep_state(&notice.account).await?.backfilled;
            Ok(read_until.is_some_and(|until| until > notice.since))
        }
        "group-unknown" => Ok(is_group_there(parts, roster, notice)),
        REFUSED => Ok(is_moot(notice, roster)),
        LOST_HOST if !parts.settings.moves.watch_hosts => Ok(true),
        // That there are more than are named.
        LOST_HOST if notice.subject.is_none() => Ok(!is_any_unnamed(&*parts.store, &notice.account).await?),
        LOST_HOST => Ok(false),
        GONE_HOST => Ok(parts.clock.now().since(notice.since) >= GONE_FOR),
        "app-deauthorized" => is_swept_after(&*parts.store, notice, notice.since.plus(TOKEN_LIVES)).await,
        silence::SILENCE => silence::is_over(parts, account, notice).await,
        _ => Ok(false),
    }
}

/// Whoever is told of by name waits for an event; the others are due on another day.
async fn is_any_unnamed(store: &dyn Store, account: &AccountId) -> Result<bool, StoreError> {
    for state in ["due", "running"] {
        let (account, rule) = (Some(account.clone()), Some(RuleName::lost_host()));
        let filter = JobFilter { state: Some(state.to_owned()), account, rule, limit: 1, ..JobFilter::default() };
        if !store.jobs(filter).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it was seen usable since, or nobody names it any more.
fn is_api_user_back(parts: &Parts, roster: &Roster, account: &Account, notice: &Notice) -> bool {
    let Ok(key) = notice.about().parse::<UserKey>() else { return true };
    let by_rule = |email| roster.rules().iter().any(|rule| rule.ensure.alternative_hosts.contains(email));
    let is_named = matches!(&key, UserKey::Email(email) if account.may_grant.contains(email) || by_rule(email));
    if is_named || account.api_users.contains(&key) {
        return parts.facts.saw_usable(&account.id, &key, notice.since);
    }
    // Whoever makes it an API user again is told again.
    parts.facts.not_reported(&account.id, &key);
    true
}

/// Whether no rule names the group any more, or one is called so in the list that was read last. The same notice, raised
/// again, keeps the moment of its first, so that says nothing.
fn is_group_there(parts: &Parts, roster: &Roster, notice: &Notice) -> bool {
    let subject = notice.subject.as_deref().unwrap_or_default();
    let Some(name) = subject.strip_prefix(GROUP) else { return true };
    let is_named = roster.rules().iter().any(|rule| rule.ensure.groups.iter().any(|group| group == name));
    !is_named || parts.facts.saw_group(&notice.account, name)
}

/// Whether a sweep began after that moment and came to its end: Zoom takes the app's calls.
async fn is_swept_after(store: &dyn Store, notice: &Notice, after: Timestamp) -> Result<bool, StoreError> {
    let last = store.sweep_state(&notice.account).await?.last;
    Ok(last.is_some_and(|run| run.started_at > after && run.ended_at.is_some()))
}
