//! The command line, as the real binary: exit codes, messages, files.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

const GOOD: &str = r#"
[admin]
listen = "127.0.0.1:1"
[[app]]
name = "main"
kind = "server-to-server"
client_id = "abcDEF123"
client_secret = "client-secret-of-the-test"
webhook_secrets = ["webhook-secret-of-the-test"]
[[app.account]]
id = "AAAAAABBBB"
api_users = ["api-user@example.com"]
"#;

fn adjutant(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjutant"));
    command
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("ADJUTANT_CONFIG")
        .env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    adjutant(folder, words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let good = folder_with(GOOD);
    let shipped = folder_with(include_str!("../../config.toml"));
    let nothing = tempfile::tempdir().unwrap();
    for (folder, words, code) in [
        (&good, &["--help"][..], 0),
        (&good, &["--version"], 0),
        (&good, &["check-config"], 0),
        (&good, &["config"], 0),
        (&good, &[], 2),
        (&good, &["frobnicate"], 2),
        (&good, &["jobs", "list", "--limit", "many"], 2),
        (&good, &["jobs", "retry"], 2),
        (&good, &["jobs", "retry", "job_1", "--cause", "refused"], 2),
        (&good, &["trigger", "user.exploded"], 2),
        (&good, &["jobs", "list"], 69),
        (&good, &["attention"], 69),
        (&shipped, &["check-config"], 78),
        (&shipped, &["serve"], 78),
        (&nothing, &["check-config"], 78),
        (&nothing, &["serve"], 78),
    ] {
        let output = run(folder.path(), words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}{}", stdout(&output), stderr(&output));
        assert!(code == 0 || !output.stderr.is_empty(), "{words:?} says nothing");
    }
    assert!(stdout(&run(good.path(), &["--help"])).contains("  78  the configuration is wrong"));
}

#[test]
fn a_failure_says_what_where_and_what_to_do() {
    let (good, nothing) = (folder_with(GOOD), tempfile::tempdir().unwrap());
    let shipped = folder_with(include_str!("../../config.toml"));
    let output = run(shipped.path(), &["serve"]);
    let expected = "error: the configuration has no [[app]]\n--> config.toml\n = add [[app]] with name, kind, client_id, \
                    client_secret_file, webhook_secrets_file and [[app.account]], or run `adjutant setup`\n";
    assert_eq!(stderr(&output), expected);
    let output = run(nothing.path(), &["check-config"]);
    let expected = "error: cannot read config.toml: No such file or directory (os error 2). name the file with --config or \
                    ADJUTANT_CONFIG, or write one with `adjutant setup`\n";
    assert_eq!(stderr(&output), expected);
    let output = run(good.path(), &["jobs", "list"]);
    let expected = "error: there is no admin token at ./admin.token: the service was never started with this configuration. \
                    start it with `adjutant serve`, or look at a stopped one with --offline\n";
    assert_eq!(stderr(&output), expected);
    std::fs::write(good.path().join("admin.token"), "adj_the-token-of-the-test-0123456789\n").unwrap();
    let output = run(good.path(), &["jobs", "list"]);
    let expected = "error: the service does not answer at 127.0.0.1:1: Connection refused (os error 111). start it with \
                    `adjutant serve`, check [admin] listen, or look at a stopped one with --offline\n";
    assert_eq!(stderr(&output), expected);
    assert_eq!(stdout(&output), "");
}

#[test]
fn what_a_terminal_would_obey_does_not_reach_it() {
    let folder = folder_with(&GOOD.replace("\nkind", "\n\u{9b}31mkind"));
    let output = adjutant(folder.path(), &["check-config"]).env("ADJUTANT__\u{1b}[31m\u{202e}X", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(!stderr(&output).contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{:?}", stderr(&output));
    let folder = folder_with(GOOD);
    let output = adjutant(folder.path(), &["check-config"]).env("ADJUTANT__\u{1b}[31m\u{202e}X", "1").output().unwrap();
    assert!(stderr(&output).contains("ADJUTANT__\u{fffd}[31m\u{fffd}X"), "{:?}", stderr(&output));
}

#[test]
fn the_configuration_is_named_by_flag_or_environment() {
    let (good, elsewhere) = (folder_with(GOOD), tempfile::tempdir().unwrap());
    let path = good.path().join("config.toml");
    let path = path.to_str().unwrap();
    assert_eq!(run(elsewhere.path(), &["--config", path, "check-config"]).status.code(), Some(0));
    assert_eq!(run(elsewhere.path(), &["check-config", "--config", path]).status.code(), Some(0));
    let output = adjutant(elsewhere.path(), &["check-config"]).env("ADJUTANT_CONFIG", path).output().unwrap();
    assert_eq!(
        stdout(&output).lines().next().unwrap(),
        format!("{path} is good: 1 app, 1 account, 0 rules (0 enforced, 0 observed)")
    );
    let output = adjutant(good.path(), &["check-config"]).env("ADJUTANT__LOG__LEVEL", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("environment variable ADJUTANT__LOG__LEVEL"), "{}", stderr(&output));
}

#[test]
fn the_configuration_in_force_is_printed_without_secrets() {
    let good = folder_with(GOOD);
    let output = adjutant(good.path(), &["config"]).env("ADJUTANT__LOG__LEVEL", "debug").output().unwrap();
    let text = stdout(&output);
    for line in [
        "listen = \"127.0.0.1:8080\"  # default",
        "listen = \"127.0.0.1:1\"  # file",
        "level = \"debug\"  # ADJUTANT__LOG__LEVEL",
        "client_secret = \"***\"  # file",
    ] {
        assert!(text.lines().any(|had| had == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("of-the-test"), "{text}");
    let json = stdout(&run(good.path(), &["config", "--json"]));
    let keys: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(keys.len() > 40 && !json.contains("of-the-test"), "{json}");
}

#[test]
fn whoever_only_asks_the_service_need_not_read_its_secrets() {
    let config = GOOD.replace("client_secret =", "client_secret_file =");
    let folder = folder_with(&config);
    assert_eq!(run(folder.path(), &["check-config"]).status.code(), Some(78));
    let output = run(folder.path(), &["attention"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let good = folder_with(GOOD);
    let mut child = adjutant(good.path(), &["config"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

const ANSWERS: [&str; 18] = [
    "setup",
    "--rule",
    "assistants",
    "--rule",
    "waiting-room",
    "--mode",
    "enforce",
    "--account-id",
    "AAAAAABBBB",
    "--client-id",
    "abcDEF123",
    "--api-user",
    "api-user@example.com",
    "--plan",
    "education",
    "--public-url",
    "https://hooks.example.com/",
    "--client-secret-from=given-client",
];

fn setup_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("given-client"), "client-secret-of-the-test\n").unwrap();
    std::fs::write(folder.path().join("given-webhook"), "webhook-secret-of-the-test\n").unwrap();
    folder
}

#[test]
fn setup_writes_files_that_check_config_accepts_and_says_what_to_click() {
    let folder = setup_folder();
    let words: Vec<&str> = ANSWERS.into_iter().chain(["--webhook-secret-from=given-webhook"]).collect();
    let output = run(folder.path(), &words);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    for part in [
        "user:write:assistant:admin",
        "user:write:admin",
        "account:read:settings:admin (classic: account:read:admin)",
        "meeting:update:meeting:admin",
        "user.invitation_accepted",
        "meeting.ended",
        "https://hooks.example.com/webhooks/main",
        "Activate",
        "adjutant doctor",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    assert!(!said.contains("of-the-test"), "{said}");
    assert!(!said.contains("adjutant reload"), "the rules enforce already: {said}");
    for file in ["config.toml", "client-secret", "webhook-secrets"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    assert!(!std::fs::read_to_string(folder.path().join("config.toml")).unwrap().contains("of-the-test"));
    let output = run(folder.path(), &["check-config"]);
    assert_eq!(stdout(&output), "config.toml is good: 1 app, 1 account, 2 rules (2 enforced, 0 observed)\n");
    let before = std::fs::read(folder.path().join("config.toml")).unwrap();
    let output = run(folder.path(), &words);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is there already; nothing was written. give --force"), "{}", stderr(&output));
    assert_eq!(std::fs::read(folder.path().join("config.toml")).unwrap(), before);
    let words: Vec<&str> = words.into_iter().chain(["--force"]).collect();
    assert_eq!(run(folder.path(), &words).status.code(), Some(0));
    assert_eq!(run(folder.path(), &["check-config"]).status.code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "nothing is left lying about");
}

#[test]
fn setup_asks_for_what_no_flag_says_and_asks_again_for_what_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = adjutant(folder.path(), &["setup"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let answers = "2,2\n\nAAAAAABBBB\nabc DEF\nabcDEF123\nshort\nclient-secret-of-the-test\nwebhook-secret-of-the-test\n\n\
                   http://hooks.example.com\nhttps://hooks.example.com\n";
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let config = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(config.contains("mode = \"observe\""), "{config}");
    let next = "set mode = \"enforce\" in the rules, then `adjutant reload`.";
    assert!(stdout(&output).contains(next), "{}", stdout(&output));
    assert_eq!(config.matches("name = \"waiting-room\"").count(), 1, "{config}");
    assert!(stdout(&output).contains("a Server-to-Server OAuth App: the only kind so far"), "{}", stdout(&output));
    assert!(stdout(&output).contains("16 bytes or more") && stdout(&output).contains("expected https://"));
    assert_eq!(run(folder.path(), &["check-config"]).status.code(), Some(0));
}

#[test]
fn setup_names_the_flag_of_an_answer_that_is_missing_or_bad_and_writes_nothing() {
    let folder = setup_folder();
    let output = run(folder.path(), &ANSWERS);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("give --webhook-secret-from"), "{}", stderr(&output));
    let bad: Vec<&str> =
        ANSWERS.into_iter().map(|word| if word == "api-user@example.com" { "me" } else { word }).collect();
    let output = run(folder.path(), &bad);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: --api-user: "), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn ctrl_c_at_a_hidden_question_gives_the_terminal_back() {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let end = ptsname(&terminal, Vec::new()).unwrap();
    let end = rustix::fs::open(end, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let shows_what_is_typed =
        || rustix::termios::tcgetattr(&terminal).unwrap().local_modes.contains(rustix::termios::LocalModes::ECHO);
    assert!(shows_what_is_typed());

    let folder = setup_folder();
    let words: Vec<&str> = ANSWERS.into_iter().filter(|word| !word.starts_with("--client-secret-from")).collect();
    let mut setup = adjutant(folder.path(), &words)
        .stdin(Stdio::from(end))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"not shown: ") {
        let mut byte = [0];
        std::io::Read::read_exact(setup.stdout.as_mut().unwrap(), &mut byte).unwrap();
        said.extend(byte);
    }
    assert!(!shows_what_is_typed());
    rustix::process::kill_process(rustix::process::Pid::from_child(&setup), Signal::INT).unwrap();
    let output = setup.wait_with_output().unwrap();
    assert!(shows_what_is_typed());
    let told = (output.status.code(), stderr(&output));
    assert_eq!(told, (Some(1), "error: stopped before the last answer; nothing was written\n".to_owned()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_store_that_is_not_there_is_said_to_be_missing_and_a_backup_is_named_from_where_one_stands() {
    let folder = folder_with(GOOD);
    for words in [&["store", "verify"][..], &["store", "rebuild"], &["jobs", "list", "--offline"]] {
        let output = run(folder.path(), words);
        let expected = "error: there is no store at ./data: the service was never started with this configuration\n";
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected), "{words:?}");
    }
    let running = serving();
    let folder = &running.folder;
    assert_eq!(run(folder.path(), &["store", "backup", "copy"]).status.code(), Some(0));
    let output = run(folder.path(), &["store", "verify", "copy", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["findings"], serde_json::json!([]));
}

#[test]
fn doctor_numbers_its_checks_and_fails_where_one_fails() {
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
        ("token", "fail"),
        ("scopes", "skipped"),
        ("API user", "skipped"),
        ("co-host option", "skipped"),
        ("plan", "skipped"),
        ("clock", "skipped"),
        ("service", "fail"),
        ("last verified delivery", "skipped"),
        ("last url validation", "skipped"),
        ("sweeps", "skipped"),
        ("store", "skipped"),
        ("public URL", "skipped"),
    ];
    assert_eq!(verdicts[..14], expected, "{report:#}");
    assert_eq!(checks[14]["name"], "disk");
    for (n, check) in checks.iter().enumerate() {
        assert_eq!(check["number"].as_u64().unwrap(), n as u64 + 1);
        assert_eq!(check["verdict"] == "fail" || check["verdict"] == "warn", check["hint"].is_string(), "{check}");
    }
    let text = stdout(&run(folder.path(), &["doctor"]));
    assert!(text.contains(" 3  FAIL     token") && text.contains("to do: "), "{text}");
    let broken = folder_with("nonsense");
    let output = run(broken.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("0 ok, 0 to look at, 1 failed, 14 skipped"), "{}", stdout(&output));
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

#[test]
fn trigger_posts_what_the_receiver_verifies_and_stores() {
    use adjutant::store::{DeliveryFilter, Limits, MemoryStore, Store as _};
    use adjutant::{clock::SystemClock, config, web::webhook};
    use std::sync::Arc;
    let folder = folder_with(GOOD);
    let read = config::load(&folder.path().join("config.toml"), &config::Env::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = MemoryStore::new(Limits::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/webhooks/main", listener.local_addr().unwrap());
    let apps = read.apps.iter().map(config::App::for_receiver).collect();
    let opened = webhook::Receiver::open(apps, Arc::new(store.clone()), Arc::new(SystemClock), read.server.receiver);
    let receiver = runtime.block_on(opened).unwrap();
    runtime.spawn(async move { axum::serve(listener, receiver.router()).await });
    for event in ["user.created", "user.updated", "user.deleted", "meeting.created", "meeting.updated", "meeting.ended"]
    {
        let output = run(folder.path(), &["trigger", event, "--url", &url, "--user", "jill@example.com"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("200 stored"), "{}", stdout(&output));
    }
    let output = run(folder.path(), &["trigger", "user.created", "--times", "3", "--json", "--url", &url]);
    assert_eq!(stdout(&output).lines().count(), 3);
    let output = run(folder.path(), &["trigger", "endpoint.url_validation", "--url", &url]);
    assert!(stdout(&output).contains("encryptedToken"), "{}", stdout(&output));
    std::fs::write(folder.path().join("wrong"), "another-secret-of-the-test").unwrap();
    let output = run(folder.path(), &["trigger", "user.created", "--url", &url, "--secret-file", "wrong"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run(folder.path(), &["trigger", "user.created", "--url", &url, "--app", "other"]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(2), "error: no app is named \"other\". the configuration has main\n".into())
    );
    let stored =
        runtime.block_on(store.deliveries(DeliveryFilter { limit: 100, ..DeliveryFilter::default() })).unwrap();
    assert_eq!(stored.len(), 9);
    let planned = runtime.block_on(store.unplanned(100)).unwrap();
    for delivery in planned {
        let event = adjutant::event::wire::parse(delivery.verified.as_ref().unwrap());
        assert!(event.is_ok(), "{event:?}");
    }
}

/// The service with its log to a pipe that nobody reads any more.
#[test]
fn neither_a_lost_log_nor_a_signal_that_means_nothing_to_it_ends_the_service() {
    let mut running = serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.stderr(Stdio::piped());
        command
    });
    drop(running.child.stderr.take());
    let pid = rustix::process::Pid::from_child(&running.child);
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();
    for meaningless in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM] {
        signal(meaningless);
    }
    // A refusal in the grace, a stored delivery, an attempt: all of them are logged.
    let output = run(running.folder.path(), &["trigger", "user.created", "--user", "abc"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    while !stdout(&run(running.folder.path(), &["jobs", "list"])).contains("Connection refused") {
        assert!(running.child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    signal(Signal::TERM);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// More is logged than a pipe holds, and its reader reads nothing.
#[test]
fn a_log_that_is_not_read_stops_neither_deliveries_nor_the_end() {
    let mut running = serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.env("ADJUTANT__LOG__LEVEL", "trace").stderr(Stdio::piped());
        command
    });
    for user in 0..20 {
        let user = format!("abc{user}");
        let output = run(running.folder.path(), &["trigger", "user.created", "--user", &user]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let token = std::fs::read_to_string(running.folder.path().join("admin.token")).unwrap();
    let outline = std::fs::read_to_string(running.folder.path().join("config.toml")).unwrap();
    let admin: std::net::SocketAddr =
        outline.split("[admin]\nlisten = \"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let authorization = format!("Bearer {}", token.trim());
    for _ in 0..2_000 {
        let headers = [("authorization", authorization.as_str())];
        assert_eq!(crate::process::http::request(admin, "GET", "/v1/apps", &headers, b"").unwrap().status, 200);
    }
    let pid = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_service_leaves_no_core_dump_and_takes_all_the_files_it_may() {
    let running = serving_as(|folder| {
        let mut command = Command::new("sh");
        let script = "ulimit -S -n 200; ulimit -c unlimited 2>/dev/null; exec \"$0\" serve";
        command.args(["-c", script, env!("CARGO_BIN_EXE_adjutant")]).current_dir(folder).stderr(Stdio::null());
        command
    });
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).collect()
    };
    assert_eq!(of("Max core file size"), ["0", "0"]);
    let files = of("Max open files");
    assert_eq!(files[0], files[1]);
}

#[test]
fn what_ends_the_demo_ends_its_service_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = adjutant(folder.path(), &["demo"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut lines = std::io::BufReader::new(demo.stdout.take().unwrap());
    while !first.contains("the service runs") {
        assert!(std::io::BufRead::read_line(&mut lines, &mut first).unwrap() > 0, "{first}");
    }
    let pid = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(1), "it was not over");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its folder stayed behind");
    let address = first.split("adjutant at http://").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "its service stayed behind");
}

/// No file may grow beyond what the configuration needs, so that the service cannot make its journal.
#[test]
fn a_demo_that_goes_wrong_says_so_and_does_not_end_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new("sh");
    let script = "ulimit -f 16; exec \"$0\" demo --once";
    demo.args(["-c", script, env!("CARGO_BIN_EXE_adjutant")]).env("TMPDIR", folder.path()).stdin(Stdio::null());
    let output = demo.output().unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    assert!(said.contains("WRONG  the service did not start; the service's log: "), "{said}");
}

/// The service, running on free ports until it is dropped.
struct Running {
    folder: tempfile::TempDir,
    child: std::process::Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The oldest file of the journal in the only store below a folder.
fn first_segment(folder: &Path) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut segments = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "seg") {
                segments.push(path);
            }
        }
    }
    segments.into_iter().min().unwrap()
}

fn turn_a_bit(file: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 16], at).unwrap();
}

fn serving() -> Running {
    serving_as(|folder| {
        let mut command = adjutant(folder, &["serve"]);
        command.stderr(Stdio::null());
        command
    })
}

fn serving_as(command: impl FnOnce(&Path) -> Command) -> Running {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (public, admin) = (free(), free());
    let config = GOOD.replace("127.0.0.1:1\"", &format!("{}\"", admin.local_addr().unwrap()))
        + "[[rule]]\nname = \"everyone\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n"
        + &format!("[server]\nlisten = \"{}\"\n", public.local_addr().unwrap())
        + "[zoom]\napi_url = \"http://127.0.0.1:1/v2\"\noauth_url = \"http://127.0.0.1:1/oauth\"\n";
    drop((public, admin));
    let folder = folder_with(&config);
    let child = command(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut running = Running { folder, child };
    while run(running.folder.path(), &["attention"]).status.code() == Some(69) {
        assert!(running.child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    running
}

#[test]
fn the_commands_ask_the_running_service_and_move_its_jobs() {
    let running = serving();
    let told = |words: &[&str], code: i32| -> String {
        let output = run(running.folder.path(), words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output) + &stderr(&output)
    };
    assert_eq!(told(&["attention"], 0), "nothing needs a person\n");
    assert_eq!(told(&["jobs", "list"], 0), "JOB  STATE  AT  ACCOUNT  RULE  SUBJECT  CAUSE  WHY\n0 jobs\n");
    assert!(told(&["trigger", "user.created", "--user", "abc"], 0).contains("200 stored"));
    let listed = told(&["deliveries", "list"], 0);
    assert!(listed.ends_with("\n1 delivery\n") && listed.contains("  user.created  "), "{listed}");
    assert!(told(&["deliveries", "show", "dlv_1"], 0).contains("\"event\": \"user.created\""));
    while !told(&["jobs", "list", "--state", "due"], 0).contains("Connection refused") {
        std::thread::yield_now();
    }
    assert!(told(&["jobs", "show", "job_1"], 0).contains("subject   user:abc\n"));
    // Between two attempts: a job that runs cannot be set aside.
    while run(running.folder.path(), &["jobs", "park", "job_1"]).status.code() != Some(0) {
        std::thread::yield_now();
    }
    let attention = told(&["attention"], 0);
    assert!(attention.contains("then: adjutant jobs retry --cause by-person --account AAAAAABBBB"), "{attention}");
    let parked: serde_json::Value = serde_json::from_str(&told(&["attention", "--json"], 0)).unwrap();
    assert_eq!(parked["parked"][0]["count"], 1);
    assert_eq!(told(&["jobs", "retry", "--cause", "by-person"], 0), "1 job is tried again\n");
    assert_eq!(told(&["jobs", "retry", "--cause", "nonsense"], 1), "0 jobs are tried again\n");
    assert_eq!(told(&["jobs", "show", "job_99"], 1), "error: there is no job job_99\n");
    assert_eq!(told(&["deliveries", "replay", "dlv_1"], 0), "dlv_1 is planned again\n");
    let tail = told(&["audit", "tail", "-n", "1000"], 0);
    assert!(tail.starts_with("     0  ") && tail.contains("  delivery   stored  dlv_1"), "{tail}");
    assert!(told(&["audit", "verify"], 0).starts_with("the audit log is good: "));
    assert!(told(&["audit", "show", "0"], 0).contains("\nleaf "), "entry 0");
    // The first record is the delivery of entry 0.
    turn_a_bit(&first_segment(running.folder.path()), 200);
    let damaged = told(&["audit", "verify"], 1);
    assert!(damaged.starts_with("error: the audit log does not verify:\n  entry 0: "), "{damaged}");
    assert!(damaged.contains(".seg is damaged from byte "), "{damaged}");
    turn_a_bit(&first_segment(running.folder.path()), 200);
    assert!(told(&["audit", "verify"], 0).contains("\nhashed anew from all stored bytes: "));
    assert!(told(&["audit", "show", "100000"], 1).starts_with("error: there is no entry 100000: the log has "));
    std::fs::write(running.folder.path().join("admin.token"), "adj_another-token-that-is-not-it\n").unwrap();
    assert!(
        told(&["jobs", "list"], 77).starts_with("error: the service does not know the token of [admin] token_file")
    );
}
