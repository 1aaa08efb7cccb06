//! Every route × every role × no account, the own and another one: allowed or refused as the table says.

use adjutant::web::admin::Role;
use adjutant::web::admin::table::{About, Route, routes};
use serde_json::{Value, json};

use super::world::{Has, INVITE, OTHER, OWN, World, id, person, planned};
use super::{Answer, Asked};

const NEVER_ONBOARDED: &str = "onb_00000000000000000000000000000000";
const NEVER_ASKED: &str = "erd_00000000000000000000000000000000";

/// Whose thing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nobody's in particular.
    All,
    Own,
    Other,
    /// Of an account, or with an id, that there never was.
    NeverThere,
}

/// What is asked of each route. One that is not here fails the test: say how it is asked.
pub(crate) fn asked(route: &Route, whose: Whose, world: &World) -> Option<Asked> {
    let never = Has {
        delivery: "dlv_999999".to_owned(),
        parked: "job_999999".to_owned(),
        waiting: "job_999999".to_owned(),
        due: "job_999999".to_owned(),
        held: "job_999999".to_owned(),
        onboarding: NEVER_ONBOARDED.to_owned(),
        errand: NEVER_ASKED.to_owned(),
    };
    let (account, has) = match whose {
        Whose::All => (None, &world.own),
        Whose::Own => (Some(OWN), &world.own),
        Whose::Other => (Some(OTHER), &world.other),
        Whose::NeverThere => (Some("never-there-account"), &never),
    };
    let is_about_one = matches!(route.about, About::InPath | About::Read);
    let is_whole = matches!(route.about, About::Nothing | About::Service);
    if (is_about_one && whose == Whose::All) || (is_whole && whose != Whose::All) {
        return None;
    }
    let (method, path) = (route.method.as_str(), route.path);
    let (path, query) = path_of((method, path), account, has, world);
    let chosen = account.filter(|_| route.about == About::Chosen).map(|account| format!("account={account}"));
    let query = [Some(query.to_owned()).filter(|query| !query.is_empty()), chosen];
    let query = query.into_iter().flatten().collect::<Vec<_>>().join("&");
    let path = path.replace("{account}", account.unwrap_or(OWN));
    let path = if query.is_empty() { path } else { format!("{path}?{query}") };
    Some(sent(route, account, Asked::new(method, path)))
}

/// Where it is asked: the account is still to be put in.
#[expect(clippy::too_many_lines, reason = "a line for each route that is asked in its own way")]
fn path_of((method, path): (&str, &str), account: Option<&str>, has: &Has, world: &World) -> (String, &'static str) {
    match (method, path) {
        ("GET", "/v1/jobs/{id}") => (format!("/v1/jobs/{}", has.parked), ""),
        ("POST", "/v1/jobs/{id}/retry") => (format!("/v1/jobs/{}/retry", has.parked), ""),
        ("POST", "/v1/jobs/{id}/park") => (format!("/v1/jobs/{}/park", has.due), ""),
        ("POST", "/v1/jobs/{id}/cancel") => (format!("/v1/jobs/{}/cancel", has.waiting), ""),
        ("POST", "/v1/jobs/retry" | "/v1/jobs/cancel") => (path.to_owned(), "cause=assistants-full"),
        ("GET" | "POST", "/v1/deliveries/{id}" | "/v1/deliveries/{id}/decide" | "/v1/deliveries/{id}/replay") => {
            (path.replace("{id}", &has.delivery), "")
        }
        ("POST", "/v1/rules/{rule}/resume") => (path.replace("{rule}", "r"), ""),
        ("GET", "/v1/take-back") => (path.to_owned(), "api_user=api-user-1"),
        ("POST", "/v1/take-back") => (path.to_owned(), "api_user=api-user-1&users_max=9"),
        ("GET", "/v1/explain") => (format!("{path}?subject={}", has.parked), ""),
        ("POST", "/v1/store/backup") => (path.to_owned(), "to=/nowhere/at/all"),
        ("DELETE", "/v1/tokens/{id}") => (path.replace("{id}", &world.spare), ""),
        (_, of_meeting) if of_meeting.contains("/meetings/") => (path.replace("{meeting}", "7"), ""),
        ("GET", "/v1/audit/trace") => (path.to_owned(), "of=r"),
        ("GET", "/v1/audit/stream") => (path.to_owned(), "from=0&to=9"),
        ("GET", of_log) if of_log.starts_with("/v1/audit/") => (path.replace("{entry}", "0"), ""),
        ("GET", "/v1/errands/{id}") => (path.replace("{id}", &has.errand), ""),
        ("GET", "/v1/onboardings/{id}") => (path.replace("{id}", &has.onboarding), ""),
        ("DELETE", "/v1/invites/{id}") => (path.replace("{id}", INVITE), ""),
        (
            "GET" | "DELETE" | "POST",
            "/v1/accounts/{account}/users/{user}"
            | "/v1/accounts/{account}/users/{user}/deactivate"
            | "/v1/accounts/{account}/users/{user}/forget"
            | "/v1/accounts/{account}/users/{user}/assistants"
            | "/v1/accounts/{account}/users/{user}/assistants/{assistant}"
            | "/v1/accounts/{account}/users/{user}/assistants/verify"
            | "/v1/accounts/{account}/users/{user}/meetings"
            | "/v1/accounts/{account}/users/{user}/schedulers"
            | "/v1/accounts/{account}/users/{user}/schedulers/{scheduler}",
        ) => {
            let [user, other] = [9, 8].map(|n| person(account.unwrap_or(OWN), n).0);
            (path.replace("{user}", &user).replace("{assistant}", &other).replace("{scheduler}", &other), "")
        }
        ("GET" | "PATCH" | "DELETE", "/v1/accounts/{account}")
        | ("GET" | "POST", "/v1/accounts/{account}/users" | "/v1/accounts" | "/v1/invites")
        | (
            "POST",
            "/v1/accounts/{account}/pause"
            | "/v1/accounts/{account}/meetings"
            | "/v1/accounts/{account}/resume"
            | "/v1/audit/key"
            | "/v1/sweeps"
            | "/v1/reload"
            | "/v1/tokens"
            | "/v1/plan/apply",
        )
        | (
            "GET",
            "/openapi.json"
            | "/metrics"
            | "/v1/status"
            | "/v1/jobs"
            | "/v1/deliveries"
            | "/v1/audit"
            | "/v1/sweeps"
            | "/v1/plan"
            | "/v1/attention"
            | "/v1/apps"
            | "/v1/notify"
            | "/v1/consumers"
            | "/v1/reload"
            | "/v1/tokens"
            | "/v1/accounts/{account}/completeness"
            | "/v1/accounts/{account}/coverage"
            | "/v1/onboardings"
            | "/v1/errands"
            | "/v1/accounts/{account}/budgets",
        ) => (path.to_owned(), ""),
        ("GET" | "POST", path) if path.starts_with("/v1/consumers/{consumer}") => {
            let query = if path.ends_with("/replay") { "from=0" } else { "" };
            (path.replace("{consumer}", "nobody"), query)
        }
        other => panic!("{other:?} is in the table, and this test does not know how it is asked"),
    }
}

/// The same with its body, if it has one.
fn sent(route: &Route, account: Option<&str>, asked: Asked) -> Asked {
    match (route.method.as_str(), route.path) {
        ("POST", "/v1/plan/apply") => {
            let mut plan = planned(Some(&id(OWN)));
            account.unwrap_or(OWN).clone_into(&mut plan.accounts[0].account);
            asked.with(serde_json::to_value(plan).unwrap())
        }
        ("POST", "/v1/tokens") => asked.with(json!({ "name": "another", "role": "auditor" })),
        ("POST", "/v1/accounts") => asked.with(another_account("another-school-account", "another")),
        ("PATCH", "/v1/accounts/{account}") => asked.with(json!({ "label": "Another label", "plan": "pro" })),
        ("POST", "/v1/accounts/{account}/meetings") => {
            asked.with(json!({ "for": "jill@own.example", "path": "own", "meeting": { "topic": "Algebra" } }))
        }
        ("POST", "/v1/accounts/{account}/meetings/{meeting}/move") => asked.with(json!({ "to": "jill@own.example" })),
        ("PATCH", "/v1/accounts/{account}/meetings/{meeting}") => asked.with(json!({ "topic": "Algebra" })),
        ("POST", "/v1/accounts/{account}/users") => asked.with(json!({ "email": "jill@own.example" })),
        ("POST", "/v1/accounts/{account}/users/{user}/assistants") => {
            asked.with(json!({ "assistants": [person(account.unwrap_or(OWN), 8).1] }))
        }
        ("POST", "/v1/invites") => asked.with(json!({ "label": "School X" })),
        _ => asked,
    }
}

/// As it is added, with a server-to-server app of this name.
pub(crate) fn another_account(account: &str, app: &str) -> Value {
    let secret = "a-secret-of-another-account";
    json!({ "id": account, "app": app, "client_id": "client", "client_secret": secret, "webhook_secrets": [secret] })
}

/// Routes that need a store in files, or consumers that run, which there are none of here: 400 is as far as they come.
const NEED_MORE: [&str; 11] = [
    "/v1/audit/checkpoint",
    "/v1/audit/key",
    "/v1/audit/proofs/{entry}",
    "/v1/audit/verify",
    "/v1/store/backup",
    "/v1/consumers",
    "/v1/consumers/{consumer}",
    "/v1/consumers/{consumer}/pause",
    "/v1/consumers/{consumer}/resume",
    "/v1/consumers/{consumer}/replay",
    "/v1/consumers/{consumer}/forget",
];

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Allowed,
    /// 403: the role, or the account, is not enough.
    Forbidden,
    /// 404, word for word as for what was never there.
    NotThere,
}

/// By the table alone, and not by the code that reads it.
fn expected(route: &Route, role: Role, is_bound: bool, whose: Whose) -> Expected {
    if !route.who.contains(&role) || (is_bound && route.about == About::Service) {
        Expected::Forbidden
    } else if is_bound && whose == Whose::Other {
        Expected::NotThere
    } else {
        Expected::Allowed
    }
}

fn check_refused(case: &str, answer: &Answer) {
    assert!(answer.is_problem(), "{case}: {}", answer.head);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{case}");
    for planted in super::world::PLANTED {
        assert!(!answer.body.contains(planted), "{case} tells {planted}: {}", answer.body);
    }
}

/// Asks once, and holds the answer against the table. Whether it was allowed.
fn check(world: &World, route: &Route, (role, is_bound, whose): (Role, bool, Whose), request: &Asked) -> bool {
    let case = format!("{} {} as {role}, bound {is_bound}", request.method, request.path);
    let (before, token) = (world.state(), world.token_of(role, is_bound));
    let answer = world.ask(token, request);
    let expected = expected(route, role, is_bound, whose);
    match expected {
        Expected::Allowed => {
            let is_good =
                if NEED_MORE.contains(&route.path) { answer.status == 400 } else { matches!(answer.status, 200..=202) };
            assert!(is_good, "{case}: {} {}", answer.status, answer.body);
            if route.method != "GET" {
                return true;
            }
        }
        Expected::Forbidden => {
            assert_eq!(answer.status, 403, "{case}: {}", answer.body);
            let why = answer.json()["detail"].as_str().unwrap().to_owned();
            let names = if route.who.contains(&role) { "bound to one account" } else { "with the role" };
            assert!(why.contains(names), "{case}: {why}");
            check_refused(&case, &answer);
        }
        Expected::NotThere => {
            assert_eq!(answer.status, 404, "{case}: {}", answer.body);
            check_refused(&case, &answer);
            let never = world.ask(token, &asked(route, Whose::NeverThere, world).unwrap());
            assert_eq!(bare(&answer, world), bare(&never, world), "{case} is told from what never was");
        }
    }
    assert_eq!(world.state(), before, "{case} changed something");
    expected == Expected::Allowed
}

#[test]
fn every_route_allows_and_refuses_every_role_and_account_as_its_line_in_the_table_says() {
    let mut world = World::new();
    let (mut allowed, mut refused) = (0, 0);
    for route in routes() {
        for (role, is_bound) in Role::ALL.into_iter().flat_map(|role| [(role, false), (role, true)]) {
            for whose in [Whose::All, Whose::Own, Whose::Other] {
                let Some(request) = asked(&route, whose, &world) else { continue };
                if check(&world, &route, (role, is_bound, whose), &request) {
                    allowed += 1;
                    world = if route.method == "GET" { world } else { World::new() };
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(allowed > 150 && refused > 250, "{allowed} allowed, {refused} refused: is this the whole table?");
}

/// An answer without what whoever asked had said.
fn bare(answer: &Answer, world: &World) -> (u16, String) {
    let mut body = answer.body.clone();
    let said = [OTHER, "never-there-account", "job_999999", "dlv_999999", NEVER_ONBOARDED, NEVER_ASKED].into_iter();
    for said in said.chain(world.other.ids()) {
        body = body.replace(said, "…");
    }
    (answer.status, body)
}

#[test]
fn a_route_that_is_not_in_the_table_is_not_there_for_anybody() {
    let world = World::new();
    for path in
        ["/", "/v1", "/v1/", "/v1/nothing", "/v1/jobs/", "/v1/jobs/job_1/", "/v2/jobs", "//v1/jobs", "/v1/jobs%2F"]
    {
        for (role, is_bound) in Role::ALL.into_iter().flat_map(|role| [(role, false), (role, true)]) {
            let answer = world.get(world.token_of(role, is_bound), path);
            assert!(answer.is_problem() && answer.status >= 400, "{path} as {role}: {}", answer.status);
        }
    }
}
