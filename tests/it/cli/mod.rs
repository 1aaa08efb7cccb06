//! The command line, as the real binary: exit codes, messages, files.

mod asking;
mod checking;
mod demo;
mod serving;
mod setup;
mod tokens;

use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    let shipped = folder_with(include_str!("../../../config.toml"));
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
    let shipped = folder_with(include_str!("../../../config.toml"));
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
    // What a stopped service cannot be asked is not said to be possible.
    for words in [&["accounts", "list"][..], &["users", "list"], &["tokens", "list"], &["sweep"], &["rules", "plan"]] {
        let told = stderr(&run(good.path(), words));
        let expected = "Connection refused (os error 111). start it with `adjutant serve`, or check [admin] listen\n";
        assert!(told.ends_with(expected), "{words:?}: {told}");
    }
}

#[test]
fn what_the_documents_say_of_json_is_so() {
    let good = folder_with(GOOD);
    let checked: serde_json::Value =
        serde_json::from_str(&stdout(&run(good.path(), &["check-config", "--json"]))).unwrap();
    assert_eq!((&checked["apps"], &checked["accounts"], &checked["rules"]), (&1.into(), &1.into(), &0.into()));
    for words in [
        &["store", "backup"][..],
        &["store", "restore"],
        &["store", "rebuild"],
        &["store", "rekey"],
        &["store", "verify"],
        &["notify", "test"],
        &["notify", "list"],
        &["consumers", "test"],
        &["users", "onboard"],
        &["accounts", "add"],
        &["rules", "presets"],
        &["config"],
        &["reload"],
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
        assert!(stdout(&run(good.path(), &words)).contains("--json"), "{words:?}");
    }
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

#[test]
fn of_very_many_mistakes_the_first_are_told_and_the_others_counted() {
    let rules = |n: usize, wants: &str| {
        let rule = |n| format!("[[rule]]\nname = \"r{n}\"\nfor = \"user\"\nensure = {{ {wants} }}\n");
        GOOD.to_owned() + &(0..n).map(rule).collect::<String>()
    };
    let bad = folder_with(&rules(4_000, "assistents = [\"api-user\"]"));
    let output = run(bad.path(), &["check-config"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(said.matches("error: ").count(), 50, "{said}");
    assert!(said.contains("[[rule]] r49.ensure has no key assistents") && !said.contains("r50"), "{said}");
    assert!(said.ends_with("\n\nand 3950 more\n"), "{said}");
}
