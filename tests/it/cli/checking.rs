//! `doctor` before a simulated Zoom.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{GOOD, folder_with, run, stderr, stdout};

#[test]
fn doctor_names_its_checks_and_fails_where_one_fails() {
    let folder = folder_with(&format!(
        "{GOOD}[zoom]\napi_url = \"http://127.0.0.1:1/v2\"\noauth_url = \"http://127.0.0.1:1/oauth\"\n"
    ));
    std::fs::set_permissions(folder.path().join("config.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(folder.path(), &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let verdicts: Vec<(&str, &str)> =
        checks.iter().map(|check| (check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap())).collect();
    let expected = [
        ("configuration", "ok"),
        ("file permissions", "fail"),
        ("master key", "ok"),
        ("token", "fail"),
        ("scopes", "skipped"),
        ("API user", "skipped"),
        ("co-host option", "skipped"),
        ("plan", "skipped"),
        ("clock", "skipped"),
        ("service", "fail"),
        ("last verified delivery", "skipped"),
        ("last url validation", "skipped"),
        ("accounts", "skipped"),
        ("sweeps", "skipped"),
        ("store", "skipped"),
        ("public URL", "skipped"),
    ];
    assert_eq!(verdicts[..16], expected, "{report:#}");
    assert_eq!(checks[16]["name"], "disk");
    for check in checks {
        assert_eq!(check["verdict"] == "fail" || check["verdict"] == "warn", check["hint"].is_string(), "{check}");
    }
    let text = stdout(&run(folder.path(), &["doctor"]));
    assert!(text.contains("\nFAIL     token ") && text.contains("to do: "), "{text}");
    let broken = folder_with("nonsense");
    let output = run(broken.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("0 ok, 0 to look at, 1 failed, 17 skipped"), "{}", stdout(&output));
}

#[test]
fn a_master_key_that_is_none_or_gone_is_told_before_the_start_and_ends_it_as_a_mistake_of_the_configuration() {
    let folder = folder_with(GOOD);
    let key = folder.path().join("master.key");
    let told = |words: &[&str]| {
        let output = run(folder.path(), words);
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    assert_eq!(told(&["check-config"]).0, Some(0), "it is made at the first start");
    std::fs::write(&key, "no key\n").unwrap();
    let store = folder.path().join("data");
    std::fs::create_dir_all(&store).unwrap();
    for (case, what) in
        [("none", "master.key: expected 64 hexadecimal digits"), ("gone", "is missing: without it nothing")]
    {
        if case == "gone" {
            std::fs::remove_file(&key).unwrap();
            // Of a store that was there before.
            for (file, text) in [("format", "adjutant store 1\n"), ("keys", "sealed")] {
                std::fs::write(store.join(file), text).unwrap();
            }
        }
        for words in [&["check-config"][..], &["serve"]] {
            let (code, said) = told(words);
            assert!(code == Some(78) && said.contains(what), "{case} {words:?}: {code:?} {said}");
        }
        let (_, said) = told(&["doctor"]);
        assert!(said.contains("FAIL     master key") && said.contains(what), "{case}: {said}");
    }
}

/// What `doctor` says of each check against a simulated Zoom, for these scopes and this API user, and whatever else is so.
fn examined(
    scopes: &[&str],
    api_user: adjutant::sim::NewUser,
    plan: adjutant::sim::Plan,
    arrange: impl FnOnce(&adjutant::sim::World, &Path),
) -> Vec<(String, String, String)> {
    use adjutant::{chance::SeededChance, clock::SystemClock, sim};
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = sim::World::new(std::sync::Arc::new(SystemClock), std::sync::Arc::new(SeededChance::new(1)));
    world.add_account(sim::NewAccount { plan, ..sim::NewAccount::named("acc") }).unwrap();
    world.set_scopes("acc", scopes).unwrap();
    let email = api_user.email.clone();
    world.add_user("acc", api_user).unwrap();
    let zoom = runtime.block_on(sim::Sim::start(world.clone())).unwrap();
    let config = format!(
        r#"
[zoom]
api_url = "{}"
oauth_url = "{}"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "client-acc"
client_secret_file = "client-secret"
webhook_secrets_file = "webhook-secrets"
marketplace_id = "of-the-test"
[[app.account]]
id = "acc"
plan = "business"
api_users = ["{email}"]
[[rule]]
name = "r"
for = "user"
ensure = {{ assistants = ["api-user"] }}
"#,
        zoom.api_url(),
        zoom.oauth_url()
    );
    let folder = folder_with(&config);
    for (file, text) in [("client-secret", "client-secret-acc"), ("webhook-secrets", "webhook-secret-of-the-test")] {
        std::fs::write(folder.path().join(file), text).unwrap();
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path().join(file), owner_only).unwrap();
    }
    arrange(&world, folder.path());
    let output = run(folder.path(), &["doctor", "--json"]);
    // The service is not there.
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value =
        serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let rows = checks.map(|check| (text(&check["name"]), text(&check["verdict"]), text(&check["found"])));
    rows.collect()
}

#[test]
fn doctor_finds_what_is_missing_at_zoom_and_understands_both_kinds_of_scopes() {
    use adjutant::sim::{NewUser, Plan};
    let classic = ["user:read:admin", "user:write:admin", "marketplace_app:read:admin"];
    let granular = [
        "marketplace_app:read:admin",
        "user:read:user:admin",
        "user:read:list_users:admin",
        "user:read:list_assistants:admin",
        "user:read:list_schedulers:admin",
        "user:write:assistant:admin",
    ];
    let api_user = || NewUser::licensed("api-user@example.com");
    for (case, scopes, user, failing, words) in [
        ("classic", &classic[..], api_user(), "", ""),
        ("granular", &granular[..], api_user(), "", ""),
        ("without Zoom's log", &classic[..2], api_user(), "scopes", "marketplace_app:read:admin"),
        ("one short", &granular[..5], api_user(), "scopes", "user:write:assistant:admin (classic: user:write:admin)"),
        ("a Basic API user", &classic[..], NewUser::basic("api-user@example.com"), "API user", "no licence"),
        ("a pending API user", &classic[..], api_user().invited(), "API user", "pending"),
    ] {
        let checks = examined(scopes, user, Plan::Business, |_, _| ());
        let find = |name: &str| checks.iter().find(|(had, ..)| had == name).unwrap();
        for name in ["configuration", "file permissions", "token", "scopes", "API user", "clock"] {
            let expected = if name == failing { "fail" } else { "ok" };
            assert_eq!(find(name).1, expected, "{case}: {checks:#?}");
        }
        assert!(failing.is_empty() || find(failing).2.contains(words), "{case}: {checks:#?}");
        let would = "`users onboard` would need group:read:list_groups:admin (classic: group:read:admin)";
        assert_eq!(find("scopes").2.contains(would), failing != "scopes", "{case}: {checks:#?}");
    }
}

#[test]
fn doctor_reads_what_the_account_allows_and_says_where_it_could_not() {
    use adjutant::sim::{NewUser, Plan, World};
    type Arrange = fn(&World, &Path);
    let scopes = ["user:read:admin", "user:write:admin", "marketplace_app:read:admin", "account:read:admin"];
    let off: Arrange = |world, _| {
        let off = serde_json::json!({ "in_meeting": { "co_host": false } });
        world.set_account_settings("acc", &off).unwrap();
    };
    let none: Arrange = |_, _| ();
    let open: Arrange = |_, folder| {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.join("client-secret"), open).unwrap();
    };
    let lost: Arrange = |_, folder| std::fs::write(folder.join("client-secret"), "another-secret-of-the-test").unwrap();
    for (scopes, plan, arrange, name, verdict, words) in [
        (&scopes[..], Plan::Business, none, "co-host option", "ok", "on, so that assistants can be alternative hosts"),
        (
            &scopes[..],
            Plan::Business,
            off,
            "co-host option",
            "warn",
            "off, so that assistants cannot be alternative hosts",
        ),
        (&scopes[..3], Plan::Business, off, "co-host option", "skipped", "only the scope account:read:settings:admin"),
        (&scopes[..], Plan::Business, lost, "co-host option", "skipped", "there is no token"),
        (
            &scopes[..],
            Plan::Business,
            none,
            "plan",
            "ok",
            "Zoom's limit for light calls is 80 a second, as for business",
        ),
        (&scopes[..], Plan::Pro, none, "plan", "warn", "30 a second, as for pro, and the configuration says business"),
        (&scopes[..], Plan::Business, lost, "plan", "skipped", "there is no token"),
        (&scopes[..], Plan::Business, open, "file permissions", "fail", "client-secret (others have 044)"),
    ] {
        let checks = examined(scopes, NewUser::licensed("api-user@example.com"), plan, arrange);
        let found = checks.iter().find(|(had, ..)| had == name).unwrap();
        assert!(found.1 == verdict && found.2.contains(words), "{name} {verdict}: {checks:#?}");
    }
}
