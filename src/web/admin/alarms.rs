//! What a person should know and mend, as the store knows it: it stands until the cause is gone, also over a restart.

use super::view::ParkedView;
use crate::alarm::Alarm;
use crate::clock::Timestamp;
use crate::job::ParkCause;
use crate::rules::LOST_HOST;
use crate::store::{FullBacklog, GivenUp, IndexTrouble, Notice, PutOff, Status};

/// Deliveries are answered 503 now: of all apps, or of some.
pub(super) fn refusing(status: &Status) -> Vec<Alarm> {
    let all = status.refusing.iter().map(|why| {
        let advice = "Zoom sends each again after 5, 20 and 60 minutes, then never: mend the cause before";
        Alarm::new("refusing", format!("deliveries are refused: {why}"), advice, "adjutant doctor")
    });
    let some = status.full_backlogs.iter().map(|FullBacklog { app, unplanned, since }| {
        let what = format!(
            "deliveries of app {app} are refused: {unplanned} wait to be planned, as many as may (backlog_max), the first \
             since {since}"
        );
        let advice = "the planner cannot keep up: see the log, and the machine's load";
        Alarm::new("backlog-full", what, advice, "adjutant doctor").about(app).since(*since)
    });
    all.chain(some).collect()
}

pub(super) fn of_store(status: &Status, now: Timestamp) -> Vec<Alarm> {
    let held = (status.held_deliveries > 0).then(|| held(status.held_deliveries));
    let index = status.index_trouble.as_ref().map(|trouble| index(trouble, status.index_lag));
    let given_up = status.given_up.filter(|given_up| now.since(given_up.last) <= GivenUp::TOLD_FOR).map(given_up);
    [disk(status), held, index, given_up].into_iter().flatten().collect()
}

/// Deliveries are refused with less free disk than the reserve: told well before that.
const RESERVES: u64 = 4;

fn disk(status: &Status) -> Option<Alarm> {
    let (free, reserve) = (status.disk_free_bytes?, status.disk_reserve_bytes?);
    let mib = |bytes: u64| bytes >> 20;
    (free < reserve.saturating_mul(RESERVES)).then(|| {
        let what = format!(
            "the disk of the store has {} MiB left; below {} MiB (disk_reserve_bytes) deliveries are refused",
            mib(free),
            mib(reserve)
        );
        let advice = "make room, or keep bodies for fewer days ([store] body_days) and restart";
        Alarm::new("disk-filling", what, advice, "df -h")
    })
}

fn held(count: u64) -> Alarm {
    let held = match count {
        1 => "1 delivery waits".to_owned(),
        held => format!("{held} deliveries wait"),
    };
    Alarm::new(
        "backlog",
        format!("{held}: the account has as many unfinished jobs as it may (backlog_max)"),
        "they go on by themselves as jobs of the account finish: see what parks them or keeps them waiting",
        "adjutant jobs list",
    )
}

fn index(IndexTrouble { since, why, failed }: &IndexTrouble, lag: u64) -> Alarm {
    let what = match failed {
        0 => format!("since {since} the index is being built anew, {lag} records behind: {why}"),
        1 => format!("since {since} the index cannot be built, {lag} records behind, tried once: {why}"),
        failed => format!("since {since} the index cannot be built, {lag} records behind, tried {failed} times: {why}"),
    };
    let advice = "deliveries are taken and worked on, but old ones are not listed: see that the store's folder `index` can \
                  be written and the disk has room; it is tried again by itself, every 5 minutes at least";
    Alarm::new("index", what, advice, "adjutant doctor").since(*since)
}

fn given_up(GivenUp { count, since, last }: GivenUp) -> Alarm {
    let what = match count {
        1 => format!("1 delivery was given up at {last}"),
        count => format!("{count} deliveries were given up since {since}, the last at {last}"),
    };
    Alarm::new(
        "given-up",
        format!("{what}: more were set aside than may be (parked_deliveries_max)"),
        "see why they are set aside (`adjutant deliveries list --parked`); `adjutant audit tail` names those given up, and \
         `adjutant deliveries replay` plans one again",
        "adjutant deliveries list --parked",
    )
    .since(since)
}

/// What stands until it is mended. An API user that was told of twice, with and without its id, is one alarm.
pub(super) fn of_notices(notices: &[Notice]) -> Vec<Alarm> {
    let is_first = |place: usize, notice: &Notice| {
        let same = |other: &Notice| {
            (&other.account, &other.code, other.about()) == (&notice.account, &notice.code, notice.about())
        };
        !notices.iter().take(place).any(same)
    };
    let firsts = notices.iter().enumerate().filter(|(place, notice)| is_first(*place, notice));
    firsts.map(|(_, notice)| of_notice(notice)).collect()
}

fn of_notice(notice: &Notice) -> Alarm {
    let Notice { account, code, what, since, .. } = notice;
    let doctor = || "adjutant doctor".to_owned();
    let sweep = || format!("adjutant sweep --account {account}");
    let (code, advice, command) = match code.as_str() {
        "api-user-gone" => (
            "api-user",
            "make it active and licensed, or name another in api_users, or in the rule that names it; then retry what is parked for \
             api-user-unusable",
            retry_for_api_user(account.as_str()),
        ),
        "take-back" => (
            "take-back",
            "it goes on by itself until nobody is left: see `adjutant audit tail` for what is done",
            "adjutant audit tail".to_owned(),
        ),
        "list-refused" => (
            code.as_str(),
            "the other rules are swept: see `adjutant doctor` for the app's scopes; a sweep that can read it ends this",
            doctor(),
        ),
        "app-deauthorized" => (
            code.as_str(),
            "install the app on the account again, or take the account out of the configuration",
            doctor(),
        ),
        "backfill-failed" => {
            (code.as_str(), "see `adjutant doctor` for the app's scopes; reading it ends this", doctor())
        }
        LOST_HOST if notice.subject.is_none() => (
            code.as_str(),
            "see to those that are named: the others are named then",
            format!("adjutant jobs list --account {account} --state due"),
        ),
        LOST_HOST => (
            code.as_str(),
            "give the meetings to somebody who can host, as named in the command in place of USER; it ends when none are left, or \
             the user can host again",
            format!("adjutant meetings move --account {account} --from {} --to USER --upcoming", notice.about()),
        ),
        "gone-host" => (
            code.as_str(),
            "see in Zoom's admin pages who has the meetings now; those that nobody has are to be made anew. it is told for a week",
            format!("adjutant meetings create --account {account} --for USER"),
        ),
        "group-unknown" => (code.as_str(), ParkCause::GROUP_UNKNOWN_ADVICE, sweep()),
        "silence" => (
            code.as_str(),
            "webhooks may not arrive: try the way in, and see that the app's event subscription is on; a delivery ends this",
            "adjutant doctor --url".to_owned(),
        ),
        other => (other, "see the audit log", "adjutant audit tail".to_owned()),
    };
    Alarm::new(code, format!("account {account}, since {since}: {what}"), advice, command)
        .of_account(account)
        .about(notice.about())
        .since(*since)
}

fn retry_for_api_user(account: &str) -> String {
    format!("adjutant jobs retry --cause api-user-unusable --account {account}")
}

pub(super) fn put_off(put_off: &PutOff) -> Alarm {
    let PutOff { account, rule, made, waiting, until } = put_off;
    let wait = if *waiting == 1 { "1 job waits".to_owned() } else { format!("{waiting} jobs wait") };
    Alarm::new(
        "rule-limit",
        format!(
            "account {account}: {wait} until {until}: rule {rule} made the {made} changes that it may in this hour"
        ),
        "they go on by themselves, hour by hour; if that is too slow, raise its max_changes_per_hour and `adjutant reload`",
        "adjutant reload",
    )
    .of_account(account)
    .of_rule(rule)
}

/// That work is parked because no API user can be granted is an alarm of its own, also after a restart, when nobody has
/// looked at the API users yet.
pub(super) fn api_user(parked: &ParkedView) -> Option<Alarm> {
    (parked.cause == "api-user-unusable")
        .then(|| of_parked("api-user", parked, "no API user can be granted", retry_for_api_user(&parked.account)))
}

/// The same of credentials that Zoom refuses.
pub(super) fn credentials(parked: &ParkedView) -> Option<Alarm> {
    (parked.cause == "credentials-refused").then(|| {
        of_parked("needs-authorising", parked, "Zoom refuses the app's credentials", "adjutant doctor".to_owned())
    })
}

fn of_parked(code: &str, parked: &ParkedView, otherwise: &str, command: String) -> Alarm {
    let what = format!("account {}: {}", parked.account, parked.why.as_deref().unwrap_or(otherwise));
    let alarm = Alarm::new(code, what, parked.advice.clone().unwrap_or_default(), command).of_account(&parked.account);
    Alarm { since: Some(parked.since.clone()), ..alarm }
}

/// Whether one of the alarms is of this kind and about this account.
pub(super) fn names(alarms: &[Alarm], code: &str, account: &str) -> bool {
    alarms.iter().any(|alarm| alarm.code == code && alarm.account.as_deref() == Some(account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AccountId;

    #[test]
    fn the_alarm_about_a_group_that_is_not_there_advises_as_a_job_parked_for_it_does() {
        let notice = Notice {
            account: AccountId::parse("acc").unwrap(),
            code: "group-unknown".to_owned(),
            subject: Some("group Teachers".to_owned()),
            what: "there is no group Teachers".to_owned(),
            since: Timestamp::from_millis(0),
        };
        let parked = ParkCause::GroupUnknown { name: "Teachers".to_owned(), is_twice: false };
        assert_eq!(of_notice(&notice).advice, parked.advice());
    }

    #[test]
    fn a_disk_that_fills_up_is_told_before_deliveries_are_refused() {
        let told = |free: u64, reserve: u64| {
            let status = Status {
                disk_free_bytes: Some(free << 20),
                disk_reserve_bytes: Some(reserve << 20),
                ..Status::default()
            };
            of_store(&status, Timestamp::EPOCH).into_iter().map(|alarm| alarm.what).collect::<Vec<_>>()
        };
        assert_eq!((told(1024, 256).len(), told(1023, 256).len(), told(0, 0).len()), (0, 1, 0));
        assert!(told(500, 256)[0].starts_with("the disk of the store has 500 MiB left; below 256 MiB"));
    }
}
