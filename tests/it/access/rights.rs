//! What whoever may change an account cannot reach by it: another account, its app, and what is the whole service's.

use adjutant::accounts::KeptAccount;
use adjutant::store::{Document, Shelf, Store as _, Write};
use adjutant::web::admin::Role;
use serde_json::json;

use super::matrix::another_account;
use super::world::{NOW, OWN, World, id};
use super::{Asked, FILE_TOKEN};

#[test]
fn no_account_is_made_to_act_by_the_app_of_another_and_that_there_is_one_is_not_told() {
    let world = World::new();
    let added =
        world.ask(FILE_TOKEN, &Asked::new("POST", "/v1/accounts").with(another_account("other-2", "others-app")));
    assert_eq!(added.status, 200, "{}", added.body);
    let before = world.state();
    for is_bound in [true, false] {
        let refused = ["others-app", "never-was-app"].map(|app| {
            let asked = Asked::new("PATCH", format!("/v1/accounts/{OWN}")).with(json!({ "app": app, "label": "Mine" }));
            let answer = world.ask(world.token_of(Role::Operator, is_bound), &asked);
            (answer.status, answer.body.replace(app, "…"))
        });
        assert_eq!(refused[0].0, 409, "{refused:?}");
        assert_eq!(refused[0], refused[1], "an app of another is told from none");
    }
    assert_eq!(world.state(), before);
    let own = world.ask(
        world.token_of(Role::Operator, true),
        &Asked::new("PATCH", format!("/v1/accounts/{OWN}")).with(json!({ "app": "main" })),
    );
    assert_eq!(own.status, 200, "the one that is installed: {}", own.body);
}

#[test]
fn whoever_is_bound_to_one_account_names_no_consumer_of_the_whole_service() {
    let world = World::new();
    let to = |notify: &str| json!({ "email": "jill@own.example", "notify": notify });
    let path = format!("/v1/accounts/{OWN}/users");
    let before = world.state();
    for query in ["", "?dry_run=true"] {
        let bound = world.token_of(Role::Onboarder, true);
        let one = world.ask(bound, &Asked::new("POST", format!("{path}{query}")).with(to("the-platform")));
        assert_eq!(one.status, 422, "{}", one.body);
    }
    let rows = json!([to("the-platform"), { "email": "joan@own.example" }]);
    let many =
        world.ask(world.token_of(Role::Operator, true), &Asked::new("POST", format!("{path}?dry_run=true")).with(rows));
    let rows = many.json();
    assert_eq!((&rows["taken"], &rows["refused"]), (&1.into(), &1.into()), "{rows}");
    assert_eq!(rows["rows"][0]["error"]["code"], "invalid", "{rows}");
    assert_eq!(world.state(), before, "nothing was asked for");
    let free = world.ask(world.token_of(Role::Onboarder, false), &Asked::new("POST", &path).with(to("the-platform")));
    assert_eq!(free.status, 202, "{}", free.body);
}

#[test]
fn a_label_that_would_move_the_cursor_of_somebody_elses_terminal_or_has_no_end_is_refused() {
    let world = World::new();
    let before = world.state();
    for label in ["\u{1b}[2Jgone".to_owned(), "two\nlines".to_owned(), "x".repeat(201)] {
        let own = format!("/v1/accounts/{OWN}");
        let mut added = another_account("other-2", "others-app");
        added["label"] = label.as_str().into();
        for asked in [
            Asked::new("PATCH", &own).with(json!({ "label": label })),
            Asked::new("POST", "/v1/accounts").with(added),
            Asked::new("POST", "/v1/invites").with(json!({ "label": label })),
        ] {
            let answer = world.ask(FILE_TOKEN, &asked);
            assert_eq!(answer.status, 400, "{} {label:?}: {}", asked.path, answer.body);
        }
    }
    let batch = Asked::new("POST", format!("/v1/accounts/{OWN}/users?batch=%1b%5b2J"));
    let answer = world.ask(FILE_TOKEN, &batch.with(json!({ "email": "jill@own.example" })));
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(world.state(), before);
}

#[test]
fn an_app_that_does_not_act_any_more_is_gone_with_its_account_and_no_other_is() {
    let world = World::new();
    let kept_app = |name: &str, account: &str| {
        let value = json!({ "name": name, "account": account, "client_id": "c", "client_secret": "a-client-secret",
                            "webhook_secrets": [], "added_at": NOW, "added_by": "token:x" });
        let value = serde_json::to_vec(&value).unwrap();
        Write::Put(Document { shelf: Shelf::App, key: name.to_owned(), account: Some(id(account)), value })
    };
    let left = world.runtime.block_on(async {
        let writes = vec![kept_app("of-before", OWN), kept_app("others-app", super::world::OTHER)];
        world.store.write_documents(writes, Vec::new(), NOW).await
    });
    left.unwrap();
    let accounts = world.accounts_in(&world.store);
    let own: KeptAccount = accounts.account(&id(OWN)).unwrap();
    assert_eq!(own.app.as_str(), "main", "the general app acts");
    let forgotten = async {
        accounts.remove(&own.id, false, "a test").await.unwrap();
        let leaving = accounts.account(&own.id).unwrap();
        let forgetting = accounts.forgetting(&leaving).await.unwrap();
        accounts.forgotten(&forgetting).await
    };
    world.runtime.block_on(forgotten).unwrap();
    let names =
        |all: Vec<adjutant::accounts::KeptApp>| all.into_iter().map(|app| app.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(accounts.kept_apps()), ["others-app"]);
    assert_eq!(names(world.accounts_in(&world.store).kept_apps()), ["others-app"], "nor on disk");
}
