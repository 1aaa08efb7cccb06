//! `setup`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use rustix::process::Signal;

use super::{adjutant, run, stderr, stdout};

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
        "account:read:settings:admin ",
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
fn setup_takes_the_webhook_url_for_the_address_before_it() {
    for url in ["https://hooks.example.com/zoom/webhooks", "https://hooks.example.com/zoom/webhooks/main/"] {
        let folder = setup_folder();
        let words = ANSWERS.into_iter().map(|word| if word.starts_with("https:") { url } else { word });
        let words: Vec<&str> = words.chain(["--webhook-secret-from=given-webhook"]).collect();
        let said = stdout(&run(folder.path(), &words));
        assert!(said.contains("  https://hooks.example.com/zoom/webhooks/main\n"), "{said}");
    }
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
    assert!(
        stdout(&output).contains("a Server-to-Server OAuth App (many accounts: --kind general)"),
        "{}",
        stdout(&output)
    );
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
    let spaced: Vec<&str> =
        ANSWERS.into_iter().map(|word| if word == "AAAAAABBBB" { "My Account" } else { word }).collect();
    let output = run(folder.path(), &spaced);
    assert!(stderr(&output).contains("ASCII characters without spaces"), "{}", stderr(&output));
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
fn setup_writes_a_general_app_and_says_all_that_its_page_needs() {
    let folder = setup_folder();
    let mut words: Vec<&str> = ANSWERS.into_iter().chain(["--webhook-secret-from=given-webhook"]).collect();
    let account = words.iter().position(|word| *word == "--account-id").unwrap();
    let with_account: Vec<&str> = words.iter().copied().chain(["--kind", "general"]).collect();
    let output = run(folder.path(), &with_account);
    assert_eq!((output.status.code(), stderr(&output).contains("a general app has none")), (Some(2), true));
    words.drain(account..account + 2);
    words.extend(["--kind", "general", "--app", "platform"]);
    for (api_user, code) in [("zoom-api@{domian}", 2), ("jill", 2), ("zoom-api@{domain}", 0)] {
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "api-user@example.com" { api_user } else { word }).collect();
        let output = run(folder.path(), &words);
        assert_eq!(output.status.code(), Some(code), "{api_user}: {}{}", stdout(&output), stderr(&output));
    }
    let text = stdout(&run(folder.path(), &["setup", "--sheet", "platform"]));
    for part in [
        "  https://hooks.example.com/oauth/callback\n",
        "Event notification endpoint URL):\n  https://hooks.example.com/webhooks/platform\n",
        "Deauthorization notification endpoint URL, a field of its own:\n  https://hooks.example.com/webhooks/platform\n",
        "Features → Access",
        "managed by admins",
        "rule api-user-assists-everyone",
        "users onboard",
        "user:write:user:admin",
        "user.invitation_accepted",
        "adjutant accounts invite",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let sheet: serde_json::Value =
        serde_json::from_str(&stdout(&run(folder.path(), &["setup", "--sheet", "platform", "--json"]))).unwrap();
    assert_eq!(sheet["redirect_url"], "https://hooks.example.com/oauth/callback");
    let of = |scope: &str| {
        let all = sheet["scopes"].as_array().unwrap().iter();
        all.filter(|one| one["granular"] == scope).map(|one| one["needed_by"].to_string()).collect::<String>()
    };
    assert!(of("user:read:list_users:admin").contains("installing"), "{sheet:#}");
    assert!(!text.contains("of-the-test"), "{text}");
    let output = run(folder.path(), &["check-config"]);
    assert!(stdout(&output).starts_with("config.toml is good: 1 app, 0 accounts, 2 rules"), "{}", stderr(&output));
    let unknown = run(folder.path(), &["setup", "--sheet", "nobody"]);
    assert_eq!((unknown.status.code(), stderr(&unknown).contains("the configuration has platform")), (Some(2), true));
}
