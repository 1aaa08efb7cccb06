//! Which upcoming meetings could be given to another host, and why the others could not.

use std::collections::{BTreeMap, BTreeSet};

use adjutant::sim::{Fault, FaultKind, NewUser, Target};
use serde_json::{Value, json};

use super::kit::{email, school};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

const START: &str = "2026-12-10T09:00:00Z";

impl Served {
    /// One page.
    fn movable(&self, query: &str) -> Value {
        self.service.admin("GET", &format!("/v1/accounts/{ACCOUNT}/meetings/movable?{query}")).unwrap()
    }

    /// All pages.
    fn movables(&self, query: &str) -> Vec<Value> {
        let (mut pages, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.movable(&format!("{query}{after}"));
            let next = page["next"].as_str().map(str::to_owned);
            pages.push(page);
            match next {
                Some(next) => after = format!("&after={next}"),
                None => return pages,
            }
        }
    }

    fn upcoming(&self, maker: &str, host: &str, topic: &str) -> u64 {
        let mut fields = json!({ "topic": topic, "start_time": START });
        if maker != host {
            fields["schedule_for"] = json!(host);
        }
        self.world.create_meeting(ACCOUNT, maker, &fields).unwrap()
    }
}

/// Meetings of every kind, by number, with the code of why each could not be given to another host.
fn of_all_kinds(served: &Served) -> BTreeMap<u64, Option<&'static str>> {
    for name in ["idle", "basic", "scheduler", "away", "leaver"] {
        served.world.add_user(ACCOUNT, NewUser::licensed(&email(name))).unwrap();
    }
    for assistant in ["scheduler", "away", "leaver"] {
        served.world.grant(ACCOUNT, &email("first"), &email(assistant)).unwrap();
    }
    served.world.grant(ACCOUNT, &email("basic"), API_USER).unwrap();
    let made = [
        (API_USER, "first", None),
        (API_USER, "basic", None),
        ("first", "first", Some("own-path")),
        ("scheduler", "first", Some("other-scheduler")),
        ("away", "first", Some("principal-inactive")),
        ("leaver", "first", Some("principal-gone")),
        ("idle", "idle", Some("principal-inactive")),
        ("basic", "basic", Some("principal-unlicensed")),
    ];
    let full = |name: &str| if name == API_USER { name.to_owned() } else { email(name) };
    let made = made.map(|(maker, host, code)| (served.upcoming(&full(maker), &email(host), maker), code));
    for name in ["idle", "away"] {
        served.world.deactivate(ACCOUNT, &email(name)).unwrap();
    }
    served.world.set_licence(ACCOUNT, &email("basic"), 1).unwrap();
    served.world.delete_user(ACCOUNT, &email("leaver")).unwrap();
    made.into_iter().collect()
}

#[test]
fn each_meeting_that_cannot_be_given_to_another_host_is_listed_with_the_one_thing_that_is_missing() {
    let served = school("", &["first"], &["first"]);
    let made = of_all_kinds(&served);
    let pages = served.movables("all=true&limit=3");
    assert!(pages.len() >= 3, "in pages: {pages:#?}");
    let mut found = BTreeMap::new();
    for row in pages.iter().flat_map(|page| page["meetings"].as_array().unwrap()) {
        assert_eq!(row["can_move"], row["code"].is_null(), "{row}");
        assert_eq!(row["start"], "2026-12-10T09:00:00.000Z", "{row}");
        assert!(found.insert(row["meeting"].as_u64().unwrap(), row.clone()).is_none(), "it is there twice: {row}");
    }
    let codes: BTreeMap<u64, Option<&str>> = found.iter().map(|(id, row)| (*id, row["code"].as_str())).collect();
    assert_eq!(codes, made);
    for page in &pages {
        assert!(page["looked_at"].as_u64().unwrap() <= 3, "{page}");
    }
    let users: u64 = pages.iter().map(|page| page["users"].as_u64().unwrap()).sum();
    assert_eq!(users, 10, "all of the account, active or not, but for whoever is gone");
    for (topic, said) in [
        ("first", "first@school.example, who hosts it, is no API user"),
        ("scheduler", "scheduler@school.example, who scheduled it for its host, is no API user"),
        ("away", "away@school.example, who scheduled it for its host, is not active"),
        ("idle", "idle@school.example, who hosts it, is not active"),
        ("basic", "basic@school.example, who hosts it, has no licence"),
    ] {
        let row = found.values().find(|row| row["topic"] == topic).unwrap();
        assert!(row["why"].as_str().unwrap().starts_with(said), "{row}");
    }
    let lost = found.values().find(|row| row["topic"] == API_USER && row["host"] == email("basic")).unwrap();
    let why = format!("API user {API_USER} scheduled it; its host basic@school.example has no licence");
    assert_eq!(lost["why"], json!(why), "it can be moved, and somebody should");
    assert_eq!(served.world.count_calls("PATCH", "/meetings/"), 0, "nothing is changed");
}

#[test]
fn a_meeting_that_zoom_will_not_show_is_listed_as_refused_and_the_others_are_looked_at() {
    let served = school("", &["first"], &["first"]);
    let mut ids = ["a", "b", "c", "d"].map(|topic| served.upcoming(API_USER, &email("first"), topic));
    ids.sort_unstable();
    let fault = |id: u64, status: u16, code: i64| {
        let body = json!({ "code": code, "message": "Not this one." }).to_string();
        let target = Target::api("GET", format!("/meetings/{id}"));
        served.world.fault(Fault { target, times: 100, kind: FaultKind::Error { status, body } });
    };
    for (id, code) in ids.into_iter().zip([3161, 3003, 9999]) {
        fault(id, 400, code);
    }
    let pages = served.movables("all=true&limit=3");
    let rows: Vec<&Value> = pages.iter().flat_map(|page| page["meetings"].as_array().unwrap()).collect();
    let codes: Vec<_> = rows.iter().map(|row| (row["meeting"].as_u64().unwrap(), row["code"].as_str())).collect();
    let refused = |id: u64| (id, Some("zoom-refuses"));
    assert_eq!(codes, [refused(ids[0]), refused(ids[1]), refused(ids[2]), (ids[3], None)]);
    assert!(rows.iter().take(3).all(|row| row["why"].as_str().unwrap().contains("Not this one.")), "{rows:#?}");
    // What may be over soon ends the page, with what was looked at by then and the place to go on at.
    served.world.clear_faults();
    fault(ids[1], 503, 0);
    let page = served.movable("all=true");
    assert_eq!(page["meetings"].as_array().unwrap().len(), 1, "{page}");
    served.world.clear_faults();
    let rest = served.movable(&format!("all=true&after={}", page["next"].as_str().unwrap()));
    let rest: Vec<u64> =
        rest["meetings"].as_array().unwrap().iter().map(|row| row["meeting"].as_u64().unwrap()).collect();
    assert_eq!(rest, ids[1..]);
}

#[test]
fn the_command_lists_what_cannot_be_moved_and_ends_with_0_whatever_it_found() {
    let served = school("", &["first"], &["first"]);
    let made = of_all_kinds(&served);
    let cannot: BTreeSet<u64> = made.iter().filter(|(_, code)| code.is_some()).map(|(id, _)| *id).collect();
    let told = served.told(&["meetings", "movable"], 0);
    assert!(told.contains("6 of 8 upcoming meetings of 10 users cannot be given to another host"), "{told}");
    for (id, code) in &made {
        let line = told.lines().find(|line| line.starts_with(&id.to_string()));
        match code {
            Some(code) => assert!(line.unwrap().contains(&format!("no, {code}: ")), "{told}"),
            None => assert_eq!(line, None, "{told}"),
        }
    }
    let json = served.told(&["meetings", "movable", "--json"], 0);
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.iter().map(|row| row["meeting"].as_u64().unwrap()).collect::<BTreeSet<_>>(), cannot);
    let of_basic = served.told(&["meetings", "movable", "--user", &email("basic"), "--all"], 0);
    assert!(
        of_basic.contains(": yes: API user") && of_basic.contains("1 of 2 upcoming meetings of 1 user"),
        "{of_basic}"
    );
    let nobody = served.told(&["meetings", "movable", "--user", "nobody@school.example"], 0);
    assert!(nobody.contains("nobody@school.example: the meetings cannot be listed"), "{nobody}");
    let wrong = served.told(&["meetings", "movable", "--after", "there"], 2);
    assert!(wrong.contains("not what a page before named as the next"), "{wrong}");
}

#[test]
fn each_page_takes_a_bounded_number_of_calls_and_goes_on_where_the_one_before_ended() {
    let served = school("", &[], &[]);
    for n in 0..150 {
        served.world.add_user(ACCOUNT, NewUser::licensed(&email(&format!("host-{n:03}")))).unwrap();
    }
    let made: BTreeSet<u64> =
        (0..5).map(|n| served.upcoming(&email("host-077"), &email("host-077"), &format!("Lesson {n}"))).collect();
    let (mut after, mut found, mut users, mut pages) = (String::new(), BTreeSet::new(), 0, 0);
    loop {
        let before = served.world.count_calls("GET", "/v2/");
        let page = served.movable(&format!("limit=2{after}"));
        let calls = served.world.count_calls("GET", "/v2/") - before;
        assert!(calls <= 65, "{calls} calls: {page}");
        pages += 1;
        users += page["users"].as_u64().unwrap();
        for row in page["meetings"].as_array().unwrap() {
            assert!(found.insert(row["meeting"].as_u64().unwrap()), "twice: {row}");
        }
        let Some(next) = page["next"].as_str() else { break };
        // Whoever comes and goes meanwhile makes nobody be left out.
        if pages == 1 {
            served.world.delete_user(ACCOUNT, &email("host-003")).unwrap();
        }
        after = format!("&after={next}");
    }
    assert_eq!(found, made);
    assert!(pages >= 4 && users >= 153, "{pages} pages, {users} users");
}
