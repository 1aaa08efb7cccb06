//! The document of the API says what the API does.

use std::collections::BTreeSet;
use std::path::Path;

use adjutant::web::admin::table::{About, routes};
use adjutant::web::admin::{Role, document};
use boon::{Compiler, Schemas};
use serde_json::Value;

use super::matrix::{Whose, asked};
use super::world::World;
use super::{Asked, FILE_TOKEN};

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let text = serde_json::to_string_pretty(document()).unwrap() + "\n";
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/openapi.json");
    if std::fs::read_to_string(&committed).ok().as_deref() == Some(text.as_str()) {
        return;
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    std::fs::write(&fresh, text).unwrap();
    panic!(
        "the API is not what deploy/openapi.json says. if that is meant: cp {} deploy/openapi.json",
        fresh.display()
    );
}

#[test]
fn every_route_of_the_table_is_in_the_document_once_with_who_may_ask_it() {
    let world = World::new();
    let served = world.get(world.token_of(Role::Scheduler, true), "/openapi.json").json();
    assert_eq!(&served, document());
    let (mut ids, mut seen) = (BTreeSet::new(), 0);
    for route in routes() {
        let said = &served["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(said["summary"], route.summary, "{route:?}");
        assert!(ids.insert(said["operationId"].to_string()), "{} is twice there", said["operationId"]);
        let roles: Vec<&str> = route.who.iter().map(|role| role.word()).collect();
        assert_eq!(said["x-roles"], serde_json::json!(roles), "{route:?}");
        let named = route.path.matches('{').count();
        let parameters = said["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), named, "{route:?}");
        let takes_account = parameters.iter().any(|one| one["in"] == "query" && one["name"] == "account");
        assert_eq!(takes_account, route.about == About::Chosen, "{route:?}: only such routes ask for an account");
        assert!(said["responses"]["default"].is_object(), "{route:?}");
        seen += 1;
    }
    let all: usize = served["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(seen, all);
}

/// The document, as what schemas are looked up in.
struct Validator {
    schemas: Schemas,
    compiler: Compiler,
}

impl Validator {
    fn new() -> Self {
        let mut compiler = Compiler::new();
        compiler.add_resource("file:///openapi.json", document().clone()).unwrap();
        Self { schemas: Schemas::new(), compiler }
    }

    /// What is wrong with an answer.
    fn fault(&mut self, method: &str, path: &str, status: &str, kind: &str, value: &Value) -> Option<String> {
        let escape = |text: &str| text.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
        let place = match status {
            "default" => "components/responses/problem".to_owned(),
            status => format!("paths/{}/{method}/responses/{status}", escape(path)),
        };
        let place = format!("file:///openapi.json#/{place}/content/{}/schema", escape(kind));
        let index =
            self.compiler.compile(&place, &mut self.schemas).unwrap_or_else(|error| panic!("{place}: {error:#}"));
        self.schemas.validate(value, index).err().map(|error| format!("{error:#}"))
    }
}

#[test]
fn every_answer_is_as_the_document_says() {
    let world = World::new();
    let mut validator = Validator::new();
    let mut checked = 0;
    for route in routes() {
        let whose = if matches!(route.about, About::Read | About::InPath) { Whose::Own } else { Whose::All };
        let request = asked(&route, whose, &world).unwrap();
        let answer = world.ask(FILE_TOKEN, &request);
        let method = route.method.as_str().to_lowercase();
        let (status, kind) = match answer.status {
            200..=202 if route.path == "/metrics" => continue,
            200 if route.path == "/v1/audit/stream" => (answer.status.to_string(), "text/event-stream"),
            200..=202 => (answer.status.to_string(), "application/json"),
            _ => ("default".to_owned(), "application/problem+json"),
        };
        let value =
            if kind == "text/event-stream" { super::streams::data(&answer.body)[0].clone() } else { answer.json() };
        let fault = validator.fault(&method, route.path, &status, kind, &value);
        assert_eq!(fault, None, "{method} {}: {}", request.path, answer.body);
        checked += usize::from(status != "default");
    }
    assert!(checked >= 52, "only {checked} good answers were looked at");
    let problem = world.ask(FILE_TOKEN, &Asked::new("GET", "/v1/jobs/42")).json();
    assert_eq!(validator.fault("get", "/v1/jobs/{id}", "default", "application/problem+json", &problem), None);
}

#[test]
fn an_answer_of_another_form_is_found() {
    let world = World::new();
    let mut validator = Validator::new();
    let mut jobs = world.get(FILE_TOKEN, "/v1/jobs").json();
    jobs[0]["attempts"] = "3".into();
    assert!(validator.fault("get", "/v1/jobs", "200", "application/json", &jobs).is_some(), "a number as text");
    jobs[0].as_object_mut().unwrap().remove("attempts");
    assert!(validator.fault("get", "/v1/jobs", "200", "application/json", &jobs).is_some(), "a field that is missing");
}
