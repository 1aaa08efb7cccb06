//! A look before: what would become of each row, as it is checked by a request, and as Zoom has things now.

use std::sync::Arc;

use super::{Onboarder, called, no_account};
use crate::account::{Account, UserKey};
use crate::ids::{AccountId, RuleName};
use crate::job::{ParkCause, WaitReason};
use crate::work::{self, Around, Picture, RefusedFor, Row, RowRefused, Verdict, Wanted, WithJobs, would};
use crate::zoom::{Zoom, ZoomError};

/// After so many errors in a row nothing more is asked.
const ERRORS_MAX: usize = 3;

impl Onboarder {
    /// What would become of each row now, by one look at Zoom for each. Asks for nothing. An error is that no app holds the
    /// account, or of the store.
    pub async fn look(&self, account: &AccountId, rows: Vec<Row>) -> Result<Vec<Result<String, RowRefused>>, String> {
        let roster = Arc::clone(&self.parts.roster.borrow());
        let found = roster.accounts().find(|one| one.id == *account).zip(self.parts.zooms.zoom(account));
        let Some((account, zoom)) = found else { return Err(no_account(account).why) };
        let now = self.parts.clock.now();
        let checked = self.checked(account, rows, (None, "", now)).await.map_err(|error| error.to_string())?;
        let mut around = self.parts.facts.around(account, now);
        let mut errors = self.learn_groups(account, &*zoom, &mut around, &checked).await;
        let (mut looked, mut in_a_row) = (Vec::new(), 0_usize);
        for one in checked {
            looked.push(match one {
                Err(refused) => Err(refused),
                Ok(one) if !one.is_new => match self.read(one.kept.id).await.map_err(|error| error.to_string())? {
                    Some(known) => Ok(format!(
                        "nothing: asked for already, {} ({})",
                        known.kept.id,
                        known.stands(now).standing.name()
                    )),
                    None => Ok("nothing: asked for already".to_owned()),
                },
                Ok(one) if in_a_row >= ERRORS_MAX => Err(silent(&one, errors.as_deref())),
                Ok(one) => match self.foretold(&one.kept.wanted, account, &*zoom, &around).await {
                    Ok(foretold) => {
                        in_a_row = 0;
                        foretold
                    }
                    Err(error) => {
                        (in_a_row, errors) = (in_a_row.saturating_add(1), Some(error.to_string()));
                        Err(silent(&one, errors.as_deref()))
                    }
                },
            });
        }
        called(&self.parts, account, zoom.calls()).await.map_err(|error| error.to_string())?;
        Ok(looked)
    }

    /// Why that is not known, where somebody asks for a group.
    async fn learn_groups(
        &self,
        account: &Account,
        zoom: &dyn Zoom,
        around: &mut Around<'_>,
        rows: &[Result<WithJobs, RowRefused>],
    ) -> Option<String> {
        let any = rows.iter().flatten().any(|one| !one.kept.wanted.groups.is_empty());
        if !any || around.groups.is_some() {
            return None;
        }
        match self.parts.facts.groups(&account.id, zoom, self.parts.clock.now()).await {
            Ok(groups) => {
                around.groups = Some(groups);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    async fn foretold(
        &self,
        wanted: &Wanted,
        account: &Account,
        zoom: &dyn Zoom,
        around: &Around<'_>,
    ) -> Result<Result<String, RowRefused>, ZoomError> {
        if let Some(unknown) = around.groups.as_ref().and_then(|groups| work::unknown_group(&wanted.groups, groups)) {
            return Ok(Err(RowRefused::invalid(ParkCause::to_string(&unknown))));
        }
        let create = || format!("create ({}, {})", wanted.action.name(), wanted.licence_in_words());
        Ok(Ok(match zoom.user(&UserKey::Email(wanted.email.clone())).await {
            Ok(user) => {
                let home = user.whole.get("account_id").and_then(serde_json::Value::as_str);
                if home.is_some_and(|home| home != account.id.as_str()) {
                    "invite: the email belongs to another Zoom account, and the person joins only by accepting"
                        .to_owned()
                } else {
                    let picture = Picture { user: Some(user), ..Picture::default() };
                    would(&work::judge(&wanted.as_rule(RuleName::onboard()), around, &picture))
                }
            }
            Err(ZoomError::Pending(_)) => would(&Verdict::Waits(WaitReason::UserPending)),
            Err(ZoomError::NotFound(_)) => create(),
            Err(error) => return Err(error),
        }))
    }
}

/// Zoom did not say.
fn silent(one: &WithJobs, error: Option<&str>) -> RowRefused {
    let why =
        format!("what Zoom has for {} is not known: {}", one.kept.wanted.email, error.unwrap_or("it did not answer"));
    RowRefused { code: RefusedFor::Zoom, why }
}
