//! What the running parts counted, as the admin listener shows it.

use std::sync::Arc;
use std::time::Duration;

use super::failed::FailedBefore;
use super::notify;
use super::reload::Reloader;
use super::zooms::Zooms;
use crate::accounts::Accounts;
use crate::alarm::Alarm;
use crate::clock::{Clock, Timestamp};
use crate::feed::notify::Notifiers;
use crate::feed::push::Pushers;
use crate::ids::AppName;
use crate::store::LocalStore;
use crate::store::local::NotForgotten;
use crate::web::RefusalKind;
use crate::web::admin::{Counts, Stats};
use crate::web::webhook::Receiver;
use crate::worker;

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) receiver: Arc<Receiver>,
    pub(super) jobs: Arc<worker::Stats>,
    pub(super) zooms: Arc<Zooms>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) notifiers: Arc<Notifiers>,
    pub(super) pushers: Arc<Pushers>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) local: LocalStore,
    /// What ended the process before this one, where that was the store.
    pub(super) failed_before: Option<FailedBefore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Stats for Counted {
    fn counts(&self) -> Counts {
        let received = self.receiver.stats();
        let roster = self.reloader.roster();
        let roster = Arc::clone(&roster.borrow());
        let rules = roster.rules();
        Counts {
            accepted: received.accepted(),
            validated: received.validated(),
            refused: received.refusals().into_iter().map(|(kind, count)| (kind.code(), count)).collect(),
            outcomes: self.jobs.snapshot(),
            zoom_calls: self.zooms.calls(),
            alarms: self
                .clock_alarm()
                .into_iter()
                .chain(self.backlog_alarm())
                .chain(self.signature_alarms())
                .chain(self.reload_alarm())
                .chain(self.zooms.alarms(self.clock.now()))
                .chain(self.accounts.alarms())
                .chain(self.not_forgotten())
                .chain(self.not_signed())
                .chain(self.not_elsewhere())
                .chain(self.reloader.unplanned_alarms())
                .chain(self.notifiers.all().iter().flat_map(|notifier| notifier.alarms()))
                .chain(self.pushers.alarms())
                .chain(self.failed_before.as_ref().and_then(|failed| failed.alarm(self.clock.now())))
                .collect(),
            notifiers: self.notifiers.all().iter().map(|notifier| notify::view(notifier, rules)).collect(),
        }
    }
}

impl Counted {
    fn not_signed(&self) -> Option<Alarm> {
        let Some(why) = self.local.log_trouble() else {
            let what = format!("no checkpoint of the audit log can be written: {}", self.local.log_unsigned()?);
            let advice = "mend the cause, as a disk that is full; it is tried again each minute";
            return Some(Alarm::new("log-not-signed", what, advice, "adjutant audit checkpoint"));
        };
        let what = format!("the audit log has no checkpoints any more: {why}");
        let advice =
            "`adjutant audit verify` says which entries are not as they were signed; a backup has what is missing";
        Some(Alarm::new("log-not-signed", what, advice, "adjutant audit verify"))
    }

    fn not_elsewhere(&self) -> Option<Alarm> {
        let what = format!("the newest checkpoint is not in [store] checkpoint_file: {}", self.local.not_elsewhere()?);
        let advice =
            "until it is, nothing outside of the store shows what is cut off; it is tried again with the next one";
        Some(Alarm::new("checkpoint-file", what, advice, "adjutant audit checkpoint"))
    }

    /// Whom, the store does not say: that is what is to be forgotten.
    fn not_forgotten(&self) -> Option<Alarm> {
        let NotForgotten { since, why } = self.local.not_forgotten()?;
        let what = format!("what was begun to be forgotten before the start is still there: {why}");
        let advice = "mend the cause; it is tried again by itself";
        Some(Alarm::new("not-forgotten", what, advice, "adjutant store verify").since(since))
    }

    fn reload_alarm(&self) -> Option<Alarm> {
        self.reloader.refused().map(|problem| {
            let what = format!("a changed configuration was not taken in, and the rules before it run on: {problem}");
            let advice = "mend it, then `adjutant reload`; the next start would fail as well";
            Alarm::new("reload", what, advice, "adjutant reload")
        })
    }

    /// Also when there is room again, since Zoom may have given up meanwhile what was refused. Until the next start, or for a
    /// week.
    fn backlog_alarm(&self) -> Option<Alarm> {
        const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
        let received = self.receiver.stats();
        let last = received.backlog_at().filter(|last| self.clock.now().since(*last) <= TOLD_FOR)?;
        let refused = received.refusals().into_iter().find(|(kind, _)| *kind == RefusalKind::Backlog)?.1;
        let what = format!(
            "since the start {refused} requests were answered 503, the last at {last}: as many deliveries of their app \
             as may (backlog_max) waited to be planned"
        );
        let advice = "Zoom sends each again after 5, 20 and 60 minutes, then never: what it gave up comes with a sweep, and \
                      with marketplace_id from Zoom's log";
        Some(Alarm::new("backlog-refused", what, advice, "adjutant sweep"))
    }

    /// One bad signature is noise that anybody can make; many are a secret that does not fit, or somebody who tries.
    fn signature_alarms(&self) -> Vec<Alarm> {
        const MANY: u64 = 10;
        let bad = self.receiver.stats().bad_signatures(self.clock.now()).into_iter();
        bad.filter(|(_, count, _)| *count >= MANY).map(Self::signature_alarm).collect()
    }

    fn signature_alarm((app, count, since): (AppName, u64, Timestamp)) -> Alarm {
        let what = format!(
            "app {app}: {count} requests of the last hour had a bad signature and were refused, the first at {since}"
        );
        let advice = "compare webhook_secrets with the secret token of the app's page; if they fit, somebody else posts to \
                      the URL, which harms nothing";
        Alarm::new("bad-signatures", what, advice, "adjutant doctor --url").about(&app).since(since)
    }

    fn clock_alarm(&self) -> Option<Alarm> {
        let (at, skew_secs) = self.receiver.stats().clock_alarm()?;
        let what =
            format!("at {at} a good signature was {skew_secs} s away from this machine's clock; it was answered 503");
        let advice = "check this machine's clock (`timedatectl`); if it is right, somebody repeats old requests";
        Some(Alarm::new("clock", what, advice, "timedatectl").since(at))
    }
}
