//! Checks on this machine: files, the running service, store, disk.

use std::os::unix::fs::PermissionsExt;

use super::super::out::count;
use super::super::remote::{Remote, segment};
use super::super::store::master_key_trouble;
use super::super::takers::{Taker, takers};
use super::super::{Exit, Failure};
use super::accounts::{self, Known, TOLD_MAX};
use super::{Check, Report};
use crate::alarm::Alarm;
use crate::config::Config;
use crate::event::signature::OWN_REQUEST_ID;
use crate::store::local::MasterKey;
use crate::web::admin::accounts::AccountView;
use crate::web::admin::sweeps::SweepView;
use crate::web::admin::view::{AppView, AttentionView, DeliveryView, StatusView, StoreView};

/// Of a check that only the running service could answer.
pub(super) const UNASKED: &str = "not checked: the service does not answer";

pub(super) fn permissions(report: &mut Report, config: &Config) {
    const NAME: &str = "file permissions";
    let master_key = match &config.store.master_key {
        MasterKey::File(file) => Some(file),
        MasterKey::Bytes(_) => None,
    };
    let own = std::iter::once(&config.admin.token_file).chain(master_key);
    let files = config.secret_files.iter().chain(own).filter(|file| file.exists());
    let mut open = Vec::new();
    let mut checked = 0_usize;
    for file in files {
        checked = checked.saturating_add(1);
        match std::fs::metadata(file).map(|meta| meta.permissions().mode() & 0o077) {
            Ok(0) => {}
            // systemd's own folder of credentials is closed as a whole.
            Ok(_) if std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| file.starts_with(folder)) => {}
            Ok(bits) => open.push(format!("{} (others have {bits:03o})", file.display())),
            Err(error) => open.push(format!("{} ({error})", file.display())),
        }
    }
    if config.secrets_inline && std::fs::metadata(&config.path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
    {
        open.push(format!("{}, which holds secrets", config.path.display()));
    }
    if open.is_empty() {
        let (files, are) = (count(checked, "file", "files"), if checked == 1 { "is" } else { "are" });
        report.ok(NAME, format!("{files} with secrets {are} for their owner only"));
    } else {
        report.fail(NAME, format!("others may read {}", open.join(", ")), "chmod 600 these files");
    }
}

/// Also while the service is stopped: without it the next start fails.
pub(super) fn master_key(report: &mut Report, config: &Config) {
    const NAME: &str = "master key";
    let MasterKey::File(file) = &config.store.master_key else {
        return report.ok(NAME, "it is given in place of a file");
    };
    match master_key_trouble(&config.store) {
        Some(why) => report.fail(NAME, why, "put the file back from where you keep it, apart from the store's backups"),
        None if file.exists() => report.ok(NAME, format!("{} holds one", file.display())),
        None => report.ok(NAME, format!("{} is made at the first start", file.display())),
    }
}

/// Consumers and notifiers: nothing is sent.
pub(super) fn telling(report: &mut Report, config: &Config) {
    const NAME: &str = "telling others";
    let all = takers(config);
    if all.is_empty() {
        return report.skip(NAME, "there is no [[consumer]] and no [[notify]]");
    }
    for Taker { line, wrong } in all {
        match wrong {
            None => report.ok(NAME, line),
            Some(wrong) => report.warn(
                NAME,
                format!("{line}: {wrong}"),
                "mend it, or take the consumer away; `adjutant consumers test` tries it",
            ),
        }
    }
}

/// What the running service knows: deliveries, validations, store. None where it does not answer.
pub(super) async fn running(report: &mut Report, config: &Config) -> Option<Remote> {
    const NAME: &str = "service";
    let asked = async {
        let remote = Remote::running(&config.admin)?;
        let apps: Vec<AppView> = remote.get("/v1/apps", &[]).await?;
        let status: StatusView = remote.get("/v1/status", &[]).await?;
        let sweeps: Vec<SweepView> = remote.get("/v1/sweeps", &[]).await?;
        let accounts: Vec<AccountView> = remote.get("/v1/accounts", &[]).await?;
        let attention: AttentionView = remote.get("/v1/attention", &[]).await?;
        let mut by_zoom = Vec::new();
        for app in &apps {
            by_zoom.push(is_by_zoom(&remote, app).await?);
        }
        Ok::<_, Failure>((remote, apps.into_iter().zip(by_zoom), status, sweeps, accounts, attention))
    };
    match asked.await {
        Ok((remote, apps, status, sweeps, accounts, attention)) => {
            let apps: Vec<(AppView, bool)> = apps.collect();
            report.ok(NAME, format!("version {} answers, running since {}", status.version, status.started_at));
            for (app, by_zoom) in &apps {
                verified(report, app, *by_zoom);
            }
            for (app, _) in &apps {
                validated(report, app);
            }
            accounts::all(report, config, &Known { accounts: &accounts, alarms: &attention.alarms, sweeps: &sweeps });
            all_swept(report, &sweeps);
            store(report, &status.store);
            let of_log = |alarm: &&Alarm| ["log-not-signed", "checkpoint-file"].contains(&alarm.code.as_str());
            for Alarm { what, advice, .. } in attention.alarms.iter().filter(of_log) {
                report.warn("store", what, advice);
            }
            Some(remote)
        }
        Err(failure) => {
            // The hint says what to do in the words of this command.
            let text = failure.to_string();
            let found = text.split_once(". ").map_or(text.as_str(), |(found, _)| found);
            let hint = match failure.exit {
                Exit::Denied => "run this as the user that runs the service, with its configuration",
                _ => "start it with `adjutant serve`, and see its log: until then Zoom's deliveries are not taken",
            };
            report.fail(NAME, found, hint);
            for name in ["last verified delivery", "last url validation", "accounts", "sweeps", "store"] {
                report.skip(name, UNASKED);
            }
            None
        }
    }
}

/// So many of the newest deliveries are looked at for one that we did not send ourselves.
const LOOK: usize = 20;

/// Whether Zoom sent one of the newest deliveries to the app, and not `adjutant trigger` all of them.
async fn is_by_zoom(remote: &Remote, app: &AppView) -> Result<bool, Failure> {
    let query = [("app", app.name.clone()), ("limit", LOOK.to_string())];
    let newest: Vec<DeliveryView> = remote.get("/v1/deliveries", &query).await?;
    for one in &newest {
        let one: DeliveryView = remote.get(&format!("/v1/deliveries/{}", segment(&one.id)), &[]).await?;
        if !one.request_id.is_some_and(|id| id.starts_with(OWN_REQUEST_ID)) {
            return Ok(true);
        }
    }
    // Where none is kept any more, nothing speaks against it.
    Ok(newest.is_empty())
}

fn verified(report: &mut Report, app: &AppView, is_by_zoom: bool) {
    const NAME: &str = "last verified delivery";
    let hint =
        "is the event subscription validated, saved and active? `adjutant trigger user.created` tries what follows";
    match &app.verified_at {
        Some(at) if is_by_zoom => report.ok(NAME, format!("app {}: {at}", app.name)),
        Some(at) => {
            let found = format!("app {}: {at}, by `adjutant trigger`, and none of the newest is Zoom's", app.name);
            report.warn(NAME, found, hint);
        }
        None => report.warn(NAME, format!("app {}: none yet", app.name), hint),
    }
}

fn validated(report: &mut Report, app: &AppView) {
    const NAME: &str = "last url validation";
    if let Some(at) = &app.validated_at {
        return report.ok(NAME, format!("app {}: {at}; Zoom asks again every 72 h", app.name));
    }
    let hint = "press Validate beside the webhook URL in the Zoom Marketplace";
    report.warn(NAME, format!("app {}: Zoom never validated the URL", app.name), hint);
}

/// Where there are many accounts, those that are well are only counted.
fn all_swept(report: &mut Report, sweeps: &[SweepView]) {
    let mut each = Report::default();
    for view in sweeps {
        swept(&mut each, view);
    }
    let is_well = |check: &Check| check.hint.is_none() && sweeps.len() > TOLD_MAX;
    let (well, told): (Vec<Check>, Vec<Check>) = each.checks.into_iter().partition(is_well);
    report.checks.extend(told);
    if !well.is_empty() {
        report.ok("sweeps", format!("{} well", count(well.len(), "more account is", "more accounts are")));
    }
}

fn swept(report: &mut Report, view: &SweepView) {
    const NAME: &str = "sweeps";
    let SweepView { account, state, whole_at, failed, .. } = view;
    if state == "off" {
        return report.skip(NAME, format!("account {account}: no rule is about what sweeps list"));
    }
    let last =
        whole_at.as_ref().map_or_else(|| "none came to its end yet".to_owned(), |at| format!("last whole one {at}"));
    let found = match failed {
        Some(failed) => format!("account {account}: {last}; the one of {} failed: {}", failed.at, failed.why),
        None => format!("account {account}: {last}"),
    };
    if view.is_stale {
        let hint = "what webhooks missed is not healed: see `adjutant sweep list`, then `adjutant sweep`";
        report.warn(NAME, format!("{found}, more than two intervals of the schedule ago"), hint);
    } else if failed.is_some() {
        report.warn(NAME, found, "mend what it says; the schedule sweeps again, or `adjutant sweep` does now");
    } else {
        report.ok(NAME, found);
    }
}

fn store(report: &mut Report, store: &StoreView) {
    const NAME: &str = "store";
    let StoreView { deliveries, index_lag, index_trouble, refusing, .. } = store;
    let (deliveries, behind) = (count(*deliveries, "delivery", "deliveries"), count(*index_lag, "record", "records"));
    let found = format!("{deliveries}, index {behind} behind");
    match (refusing, index_trouble) {
        (None, None) => report.ok(NAME, found),
        (None, Some(why)) => report.warn(
            NAME,
            format!("{found}: {why}"),
            "deliveries are taken and worked on, but old ones are not listed: see `adjutant attention`",
        ),
        (Some(why), _) => {
            report.fail(NAME, format!("deliveries are refused: {why}"), "mend the cause before Zoom gives up (85 min)");
        }
    }
}

const WARN_BYTES: u64 = 2 << 30;
const FAIL_BYTES: u64 = 256 << 20;

pub(super) fn disk(report: &mut Report, config: &Config) {
    const NAME: &str = "disk";
    let folder = &config.store.folder;
    let Some(there) = folder.ancestors().find(|folder| folder.exists() && !folder.as_os_str().is_empty()) else {
        report.skip(NAME, format!("neither {} nor a folder above it is there", folder.display()));
        return;
    };
    match rustix::fs::statvfs(there) {
        Err(error) => report.fail(NAME, format!("{}: {error}", there.display()), "check [store] url"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} MiB free at {}", free >> 20, there.display());
            let hint = "make room: with a full disk deliveries are refused";
            if free < FAIL_BYTES {
                report.fail(NAME, found, hint);
            } else if free < WARN_BYTES {
                report.warn(NAME, found, hint);
            } else {
                report.ok(NAME, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_in_trouble_is_a_warning_and_a_store_that_refuses_a_failure() {
        for (trouble, refusing, verdict, found) in [
            (None, None, "ok", "7 deliveries, index 3 records behind"),
            (Some("it is full"), None, "warn", "7 deliveries, index 3 records behind: it is full"),
            (Some("it is full"), Some("no disk"), "FAIL", "deliveries are refused: no disk"),
        ] {
            let mut view = crate::store::Status { deliveries: 7, index_lag: 3, ..Default::default() };
            view.refusing = refusing.map(str::to_owned);
            let view = StoreView { index_trouble: trouble.map(str::to_owned), ..view.into() };
            let mut report = Report::default();
            store(&mut report, &view);
            let check = &report.checks[0];
            assert_eq!((check.verdict.word(), check.found.as_str()), (verdict, found));
        }
    }
}
