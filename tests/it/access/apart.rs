//! What belongs to one school is in no answer to another.

use adjutant::web::admin::Role;
use adjutant::web::admin::table::{About, Route, routes};

use super::matrix::{Whose, asked};
use super::world::{OTHER, OWN, PLANTED, World};
use super::{Answer, Asked};

/// All that is asked of a route without changing anything.
fn reads(route: &Route, world: &World) -> Vec<Asked> {
    if route.method != "GET" {
        return Vec::new();
    }
    let mut all: Vec<Asked> =
        [Whose::All, Whose::Own].into_iter().filter_map(|whose| asked(route, whose, world)).collect();
    let more: &[&str] = match route.path {
        "/v1/jobs" => &["/v1/jobs?state=parked", "/v1/jobs?cause=assistants-full", "/v1/jobs?limit=1000&before=job_99"],
        "/v1/deliveries" => &["/v1/deliveries?app=main", "/v1/deliveries?app=other", "/v1/deliveries?parked=true"],
        "/v1/audit" => &["/v1/audit?last=1000&limit=1000", "/v1/audit?last=2", "/v1/audit?limit=1000"],
        "/v1/audit/stream" => {
            &["/v1/audit/stream?from=0&to=20", "/v1/audit/stream?from=5&to=20&kind=delivery,decision"]
        }
        "/v1/audit/trace" => &[
            "/v1/audit/trace?of=3",
            "/v1/audit/trace?of=planted.person%40other.example",
            "/v1/audit/trace?of=r&from=0",
        ],
        "/v1/explain" => &[
            "/v1/explain?subject=user:planted-user-of-the-other-0&all=true",
            "/v1/explain?subject=planted.person%40other.example&all=true",
            "/v1/explain?subject=user:planted-user-of-the-other-8",
            "/v1/explain?subject=own.person0%40own.example&all=true",
        ],
        "/v1/onboardings" => &["/v1/onboardings?batch=batch%20of%20other-school-account", "/v1/onboardings?limit=9"],
        _ => &[],
    };
    all.extend(more.iter().map(|path| Asked::new("GET", *path)));
    all
}

/// The other school's words and ids that are in an answer, and not in what was asked.
fn told<'a>(asked: &Asked, answer: &'a Answer, world: &'a World) -> Vec<&'a str> {
    let names = |text: &str, word: &str| {
        text.match_indices(word).any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()))
    };
    let words = PLANTED.into_iter().chain([OTHER]).chain(world.other.ids());
    // What whoever asks has said may be said again: it is no secret to them.
    let said = asked.path.replace("%40", "@");
    words.filter(|word| names(&answer.body, word) && !said.contains(*word)).collect()
}

#[test]
fn no_answer_to_a_token_of_one_account_holds_an_id_an_email_or_a_name_of_another() {
    let world = World::new();
    let (mut seen, mut leaks) = (0, Vec::new());
    for role in Role::ALL {
        for route in routes() {
            for asked in reads(&route, &world) {
                let answer = world.ask(world.token_of(role, true), &asked);
                seen += usize::from(answer.status == 200);
                let told = told(&asked, &answer, &world);
                leaks.extend((!told.is_empty()).then(|| format!("{} as {role} tells {told:?}", asked.path)));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert!(seen > 30, "only {seen} answers were looked at");
}

#[test]
fn no_answer_to_what_a_token_of_one_account_moves_tells_of_another() {
    let mut seen = 0;
    for route in routes().into_iter().filter(|route| route.method != "GET") {
        for whose in [Whose::All, Whose::Own] {
            let world = World::new();
            let Some(asked) = asked(&route, whose, &world) else { continue };
            let answer = world.ask(world.token_of(Role::Operator, true), &asked);
            seen += usize::from(answer.status == 200);
            let told = told(&asked, &answer, &world);
            assert!(told.is_empty(), "{} tells {told:?}: {}", asked.path, answer.body);
            let moved = answer.json()["moved"].as_u64();
            assert!(
                moved.is_none_or(|moved| moved == 1),
                "{}: one job of each kind is there: {}",
                asked.path,
                answer.body
            );
        }
    }
    assert!(seen > 10, "only {seen} answers were looked at");
}

#[test]
fn whoever_is_bound_to_no_account_is_told_all_of_what_the_others_must_not_see() {
    let world = World::new();
    let mut missing: Vec<String> = PLANTED.map(str::to_owned).to_vec();
    missing.push(OTHER.to_owned());
    missing.extend(world.other.ids().map(str::to_owned));
    for route in routes() {
        let others = asked(&route, Whose::Other, &world).filter(|asked| asked.method == "GET");
        for asked in reads(&route, &world).into_iter().chain(others) {
            let answer = world.ask(world.token_of(Role::Operator, false), &asked);
            let told: Vec<String> = told(&asked, &answer, &world).into_iter().map(str::to_owned).collect();
            missing.retain(|word| !told.contains(word));
            let is_all = route.about == About::Chosen && !asked.path.contains('?');
            assert!(
                !is_all || !told.is_empty(),
                "{} tells nothing of the other: the test would see no leak",
                asked.path
            );
        }
    }
    assert!(missing.is_empty(), "the test would not see these: {missing:?}");
}

#[test]
fn somebody_of_another_account_is_as_unknown_as_nobody() {
    let world = World::new();
    let explained = |token: &str, whom: &str| {
        let answer = world.get(token, &format!("/v1/explain?all=true&subject={}", whom.replace('@', "%40")));
        (answer.status, answer.body.replace(whom, "…"))
    };
    // The first has jobs, the second is an API user of the account.
    for (whom, nobody) in [
        ("user:planted-user-of-the-other-0", "user:nobody-at-all"),
        ("user:planted-user-of-the-other-8", "user:nobody-at-all"),
        ("planted.person@other.example", "nobody@nowhere.example"),
    ] {
        let bound = world.token_of(Role::Auditor, true);
        assert_eq!(explained(bound, whom), explained(bound, nobody), "{whom}");
        let free = world.token_of(Role::Auditor, false);
        assert_ne!(explained(free, whom), explained(free, nobody), "{whom} is nobody: the test would see nothing");
    }
}

#[test]
fn lists_for_one_account_are_its_own_and_whole() {
    let world = World::new();
    let bound = world.token_of(Role::Auditor, true);
    let free = world.token_of(Role::Auditor, false);
    for (path, rows) in [("/v1/jobs", 4), ("/v1/deliveries", 4), ("/v1/sweeps", 1), ("/v1/apps", 1)] {
        let own = world.get(bound, path).json();
        assert_eq!(own.as_array().unwrap().len(), rows, "{path}: {own}");
    }
    let (own, all) = (world.get(bound, "/v1/attention").json(), world.get(free, "/v1/attention").json());
    assert_eq!((own["parked"].as_array().unwrap().len(), all["parked"].as_array().unwrap().len()), (2, 4));
    assert_eq!((&own["waiting"][0]["count"], &all["waiting"][0]["count"]), (&1.into(), &2.into()));
    assert!(own["alarms"].as_array().unwrap().iter().all(|alarm| alarm["account"] == "own-school-account"));
    let named = world.get(free, "/v1/attention?account=own-school-account").json();
    assert_eq!(named, own, "whoever may see all can look at one");
    let entries = world.get(bound, "/v1/audit?limit=1000").json()["entries"].clone();
    let wanted = world.get(free, "/v1/audit?limit=1000").json()["entries"].clone();
    let wanted: Vec<_> =
        wanted.as_array().unwrap().iter().filter(|entry| entry["account"] == "own-school-account").collect();
    assert_eq!(entries.as_array().unwrap().iter().collect::<Vec<_>>(), wanted);
    let newest = world.get(bound, "/v1/audit?last=2").json()["entries"].clone();
    assert_eq!(newest.as_array().unwrap().iter().collect::<Vec<_>>(), wanted[wanted.len() - 2..]);
    let (mut paged, mut path) = (Vec::new(), "/v1/audit?limit=2&last=5".to_owned());
    for _ in 0..4 {
        let page = world.get(bound, &path).json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        path = format!("/v1/audit?limit=2&after={}", page["next"].as_str().unwrap());
    }
    assert_eq!(paged.iter().collect::<Vec<_>>(), wanted[wanted.len() - 5..], "in pages, and each once");
}

#[test]
fn what_somebody_with_a_token_moves_is_on_record_by_the_name_of_the_token() {
    let world = World::new();
    let asked = Asked::new("POST", format!("/v1/jobs/{}/retry", world.own.parked));
    assert_eq!(world.ask(world.token_of(Role::Operator, true), &asked).status, 200);
    let last = world.get(super::FILE_TOKEN, "/v1/audit?last=1").json();
    assert_eq!(last["entries"][0]["note"], "by token:operator-true", "{last}");
}

#[test]
fn how_many_requests_were_refused_is_told_to_whoever_sees_all_accounts_alone() {
    let world = World::new();
    let path = format!("/v1/accounts/{OWN}/completeness?days=1");
    let refused = |token: &str| world.get(token, &path).json()["days"][0]["refused_of_all"].clone();
    assert!(refused(super::FILE_TOKEN).is_u64());
    assert!(refused(world.token_of(Role::Auditor, false)).is_u64());
    assert!(refused(world.token_of(Role::Auditor, true)).is_null());
}
