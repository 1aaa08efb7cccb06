//! The document of the API, in the form of `OpenAPI` 3.1: made from the table of routes and the types of their handlers.

use std::sync::LazyLock;

use axum::Json;
use serde_json::{Map, Value, json};

use super::caller::Role;
use super::described::Operation;
use super::problem::ApiProblem;
use super::refusals;
use super::table::{About, Route, routes};

/// As it is served, and committed as `deploy/openapi.json`.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(whole);
    &DOCUMENT
}

pub(super) async fn show() -> Json<Value> {
    Json(document().clone())
}

const ABOUT: &str = "What operators, their scripts and the command line ask of a running adjutant. Ids are text, times are in \
                     RFC 3339. A field that is not there is null or left out; fields may be added.";

const PROBLEM: &str = "Not done, and nothing was changed: 400 what was asked cannot be understood, 401 no good token, 403 the \
                       token's role or account is not enough, 404 not there (or of another account than the token's), 405 \
                       another method, 409 not as things are now, 413 too large, 415 another media type, 421 a host name \
                       that is not served, 422 JSON of another form, or not as Zoom's users and meetings are, 429 beyond what Zoom \
                       allows in a day, 500 a fault of the service's, 502 Zoom does not do it, 503 not now. Of meetings \
                       `code` is one of";

fn whole() -> Value {
    let mut operation = Operation::new();
    let mut paths = Map::new();
    for route in routes() {
        operation.read(route.described);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_lowercase(), of_route(&route, &mut operation));
        }
    }
    let problem = operation.schema::<ApiProblem>();
    let mut whole = json!({
        "openapi": "3.1.0",
        "info": { "title": "adjutant", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "the token of [admin] token_file, or one of `adjutant tokens create`",
            } },
            "responses": { "problem": {
                "description": format!("{PROBLEM} {}", refusals::in_words()),
                "content": { "application/problem+json": { "schema": problem } },
            } },
            "schemas": operation.schemas(),
        },
    });
    without_links(&mut whole);
    whole
}

fn of_route(route: &Route, operation: &mut Operation) -> Value {
    let mut answers = Map::new();
    answers.insert("default".to_owned(), json!({ "$ref": "#/components/responses/problem" }));
    if let Some((status, kind, schema)) = operation.answer.take() {
        let answer = |words: &str| json!({ "description": words, "content": { kind: { "schema": schema } } });
        answers.insert(status.to_string(), answer("Done"));
        if operation.or_accepted {
            answers.insert("202".to_owned(), answer("On disk, and done later"));
        }
    }
    let mut parameters: Vec<Value> = in_path(route.path).chain(in_query(operation)).collect();
    if let Some((name, about)) = operation.header {
        let schema = json!({ "type": "string", "maxLength": 200 });
        parameters
            .push(json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema }));
    }
    let body = operation.body.take();
    let body = body.map(|body| json!({ "required": true, "content": { "application/json": { "schema": body } } }));
    let said = [
        ("operationId", Some(json!(id(route)))),
        ("summary", Some(json!(route.summary))),
        ("description", Some(json!(rights(route)))),
        ("x-roles", Some(json!(route.who))),
        ("parameters", Some(json!(parameters)).filter(|_| !parameters.is_empty())),
        ("requestBody", body),
        ("responses", Some(answers.into())),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>().into()
}

/// As in `getJobsById`, made of what the path says: stable as long as that is.
fn id(route: &Route) -> String {
    let word = |part: &str| {
        let (by, bare) = part.strip_prefix('{').map_or(("", part), |part| ("By", part.trim_end_matches('}')));
        let words = bare.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or(("", word));
            format!("{}{rest}", first.to_uppercase())
        });
        format!("{by}{}", words.collect::<String>())
    };
    let parts = route.path.split('/').filter(|part| !part.is_empty() && *part != "v1");
    format!("{}{}", route.method.as_str().to_lowercase(), parts.map(word).collect::<String>())
}

/// Who may ask, for people.
fn rights(route: &Route) -> String {
    let roles = if route.who == Role::ALL {
        "Any role.".to_owned()
    } else {
        format!("Roles: {}.", route.who.iter().map(|role| role.word()).collect::<Vec<_>>().join(", "))
    };
    let bound = match route.about {
        About::Nothing => "",
        About::Service => " About the whole service: a token of one account is refused.",
        About::InPath | About::Read => " For a token of one account, what is of another is not there.",
        About::Chosen => " A token of one account is answered for that one alone.",
    };
    format!("{roles}{bound}")
}

fn in_path(path: &str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

fn in_query(operation: &mut Operation) -> impl Iterator<Item = Value> {
    let schema = operation.query.take().map(Value::from).unwrap_or_default();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties.into_iter().map(move |(name, mut schema)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let is_required = required.contains(&json!(name));
        // A parameter is left out, and never null.
        if let Some(kinds) = schema.get_mut("type").filter(|kinds| kinds.is_array()) {
            let one = kinds.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
            *kinds = one.unwrap_or_default();
        }
        let mut one = Map::new();
        for (key, value) in [
            ("name", Some(json!(name))),
            ("in", Some(json!("query"))),
            ("required", Some(json!(is_required))),
            ("description", description),
            ("schema", Some(schema)),
        ] {
            one.extend(value.map(|value| (key.to_owned(), value)));
        }
        one.into()
    })
}

/// Descriptions come from comments of the code, where links lead to code.
pub(super) fn without_links(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace("crate::", "");
                    }
                    other => without_links(other),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(without_links),
        _ => {}
    }
}
