//! What a person should know and mend, as the store knows it: it stands until the cause is gone, also over a restart.

use super::view::{Alarm, ParkedView};
use crate::clock::Timestamp;
use crate::job::ParkCause;
use crate::store::{FullBacklog, GivenUp, IndexTrouble, Notice, PutOff, Status};

fn alarm(code: &str, what: String, advice: &str) -> Alarm {
    Alarm { code: code.to_owned(), what, advice: advice.to_owned() }
}

/// Deliveries are answered 503 now: of all apps, or of some.
pub(super) fn refusing(status: &Status) -> Vec<Alarm> {
    let all = status.refusing.iter().map(|why| {
        let advice = "Zoom sends each again after 5, 20 and 60 minutes, then never: mend the cause before";
        alarm("refusing", format!("deliveries are refused: {why}"), advice)
    });
    let some = status.full_backlogs.iter().map(|FullBacklog { app, unplanned, since }| {
        let what = format!(
            "deliveries of app {app} are refused: {unplanned} wait to be planned, as many as may (backlog_max), the first \
             since {since}"
        );
        alarm("backlog-full", what, "the planner cannot keep up: see the log, and the machine's load")
    });
    all.chain(some).collect()
}

pub(super) fn of_store(status: &Status, now: Timestamp) -> Vec<Alarm> {
    let held = (status.held_deliveries > 0).then(|| held(status.held_deliveries));
    let index = status.index_trouble.as_ref().map(|trouble| index(trouble, status.index_lag));
    let given_up = status.given_up.filter(|given_up| now.since(given_up.last) <= GivenUp::TOLD_FOR).map(given_up);
    [held, index, given_up].into_iter().flatten().collect()
}

fn held(count: u64) -> Alarm {
    let held = match count {
        1 => "1 delivery waits".to_owned(),
        held => format!("{held} deliveries wait"),
    };
    alarm(
        "backlog",
        format!("{held}: the account has as many unfinished jobs as it may (backlog_max)"),
        "they go on by themselves as jobs of the account finish: see what parks them or keeps them waiting",
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
    alarm("index", what, advice)
}

fn given_up(GivenUp { count, since, last }: GivenUp) -> Alarm {
    let what = match count {
        1 => format!("1 delivery was given up at {last}"),
        count => format!("{count} deliveries were given up since {since}, the last at {last}"),
    };
    alarm(
        "given-up",
        format!("{what}: more were set aside than may be (parked_deliveries_max)"),
        "see why they are set aside (`adjutant deliveries list --parked`); `adjutant audit tail` names those given up, and \
         `adjutant deliveries replay` plans one again",
    )
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
    let (code, advice) = match code.as_str() {
        "api-user-gone" => (
            "api-user",
            "make it active and licensed, or name another in api_users; then retry what is parked for api-user-unusable",
        ),
        "take-back" => {
            ("take-back", "it goes on by itself until nobody is left: see `adjutant audit tail` for what is done")
        }
        "list-refused" => (
            code.as_str(),
            "the other rules are swept: see `adjutant doctor` for the app's scopes; a sweep that can read it ends this",
        ),
        "app-deauthorized" => {
            (code.as_str(), "install the app on the account again, or take the account out of the configuration")
        }
        "group-unknown" => (code.as_str(), ParkCause::GROUP_UNKNOWN_ADVICE),
        other => (other, "see the audit log"),
    };
    Alarm {
        code: code.to_owned(),
        what: format!("account {account}, since {since}: {what}"),
        advice: advice.to_owned(),
    }
}

pub(super) fn put_off(put_off: &PutOff) -> Alarm {
    let PutOff { account, rule, made, waiting, until } = put_off;
    let wait = if *waiting == 1 { "1 job waits".to_owned() } else { format!("{waiting} jobs wait") };
    alarm(
        "rule-limit",
        format!(
            "account {account}: {wait} until {until}: rule {rule} made the {made} changes that it may in this hour"
        ),
        "they go on by themselves, hour by hour; if that is too slow, raise its max_changes_per_hour and `adjutant reload`",
    )
}

/// That work is parked because no API user can be granted is an alarm of its own, also after a restart, when nobody has
/// looked at the API users yet.
pub(super) fn api_user(parked: &ParkedView) -> Option<Alarm> {
    (parked.cause == "api-user-unusable").then(|| Alarm {
        code: "api-user".to_owned(),
        what: format!("account {}: {}", parked.account, parked.why.as_deref().unwrap_or("no API user can be granted")),
        advice: parked.advice.clone().unwrap_or_default(),
    })
}

/// Whether one of the alarms is of this kind and about this account.
pub(super) fn names(alarms: &[Alarm], code: &str, account: &str) -> bool {
    let about = format!("account {account}");
    alarms.iter().any(|alarm| alarm.code == code && alarm.what.contains(&about))
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
}
