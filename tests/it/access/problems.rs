//! Every error of the listener is a problem document as RFC 9457 has it.

use adjutant::store::Store as _;
use adjutant::web::admin::{ApiProblem, Role};

use super::world::World;
use super::{Answer, Connection, FILE_TOKEN};

fn check(case: &str, status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{case}: {}", answer.body);
    assert!(answer.is_problem(), "{case}: {}", answer.head);
    let problem: ApiProblem =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{case}: {error}: {}", answer.body));
    assert_eq!((problem.kind.as_str(), problem.status), ("about:blank", status), "{case}");
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{case}: {problem:?}");
}

#[test]
fn every_error_is_a_problem_document_whoever_found_it() {
    let world = World::new();
    let bearer = format!("Bearer {FILE_TOKEN}");
    let auditor = format!("Bearer {}", world.token_of(Role::Auditor, false));
    let (host, good) = (("host", "localhost"), ("authorization", bearer.as_str()));
    let json = ("content-type", "application/json");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    for (case, status, method, path, headers, body) in [
        ("a query that is none", 400, "GET", "/v1/jobs?limit=many", vec![host, good], ""),
        ("a path that is no text", 400, "GET", "/v1/jobs/%FF", vec![host, good], ""),
        ("an id that is none", 400, "GET", "/v1/jobs/42", vec![host, good], ""),
        ("JSON that ends too early", 400, "POST", "/v1/tokens", vec![host, good, json], "{"),
        ("no token", 401, "GET", "/v1/jobs", vec![host], ""),
        ("a role that may not", 403, "POST", "/v1/reload", vec![host, ("authorization", auditor.as_str())], ""),
        ("no such route", 404, "GET", "/v1/nothing", vec![host, good], ""),
        ("no such job", 404, "GET", "/v1/jobs/job_999", vec![host, good], ""),
        ("another method", 405, "PUT", "/v1/jobs", vec![host, good], ""),
        ("another method where nobody has to show a token", 405, "POST", "/livez", vec![host], ""),
        ("as things are", 409, "DELETE", "/v1/tokens/file", vec![host, good], ""),
        ("a body without a type", 415, "POST", "/v1/tokens", vec![host, good], "{}"),
        ("another type", 415, "POST", "/v1/tokens", vec![host, good, ("content-type", "text/plain")], "{}"),
        ("another host", 421, "GET", "/v1/jobs", vec![("host", "evil.example"), good], ""),
        ("JSON of another form", 422, "POST", "/v1/tokens", vec![host, good, json], "{\"name\":1}"),
        ("too large", 413, "POST", "/v1/tokens", vec![host, good, json], large.as_str()),
    ] {
        let answer = Connection::open(world.address).send(method, path, &headers, body.as_bytes());
        check(case, status, &answer);
        if status == 405 {
            assert!(answer.head.contains("allow: get"), "{}", answer.head);
        }
    }
    world.runtime.block_on(world.store.close()).unwrap();
    check("a closed store", 503, &world.get(FILE_TOKEN, "/v1/jobs"));
    check("a closed store that should know a token", 503, &world.get("adj_unknown", "/v1/jobs"));
}
