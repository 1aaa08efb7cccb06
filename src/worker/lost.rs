//! Hosts who can host no more are looked at again, ever less often: nothing tells that a meeting of theirs has passed, or was
//! deleted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Parts;
use crate::clock::{Timestamp, lock};
use crate::ids::AccountId;
use crate::rules::look_at_host;
use crate::store::{Notice, StoreError};
use crate::work::lost;

/// Between two looks at one host: a quarter of the time for which it is told, but no less and no more.
const EVERY_MIN: Duration = Duration::from_secs(3_600);
const EVERY_MAX: Duration = Duration::from_secs(86_400);

#[derive(Debug)]
pub struct LostHosts {
    parts: Parts,
    /// When another look was asked for last. Lost with the process, which costs one look at each.
    looked: Mutex<HashMap<(AccountId, String), Timestamp>>,
}

impl LostHosts {
    pub fn new(parts: Parts) -> Self {
        Self { parts, looked: Mutex::default() }
    }

    /// Asks for another look at those for whom it is time.
    pub async fn look_again(&self) -> Result<(), StoreError> {
        let (roster, now) = (Arc::clone(&self.parts.roster.borrow()), self.parts.clock.now());
        let standing = self.parts.store.notices().await?;
        let mut failed = None;
        for notice in self.due(&standing, now) {
            let (Some(account), Some(about)) = (roster.by_id(&notice.account), lost(notice)) else { continue };
            let asked = look_at_host(&account.app, &account.id, about);
            // One that could not be asked for is due as before, and keeps nobody else from being looked at.
            match self.parts.store.ask(vec![asked], "another look at a host who can host no more", now).await {
                Ok(jobs) if jobs.iter().any(Option::is_some) => {
                    lock(&self.looked).insert(key(notice), now);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn due<'a>(&self, standing: &'a [Notice], now: Timestamp) -> Vec<&'a Notice> {
        let mut looked = lock(&self.looked);
        let before = std::mem::take(&mut *looked);
        let mut due = Vec::new();
        for notice in standing.iter().filter(|notice| lost(notice).is_some()) {
            let key = key(notice);
            let last = before.get(&key).copied().unwrap_or(notice.since);
            let every = (now.since(notice.since) / 4).clamp(EVERY_MIN, EVERY_MAX);
            if now.since(last) >= every {
                due.push(notice);
            }
            looked.insert(key, last);
        }
        due
    }
}

fn key(notice: &Notice) -> (AccountId, String) {
    (notice.account.clone(), notice.subject.clone().unwrap_or_default())
}
