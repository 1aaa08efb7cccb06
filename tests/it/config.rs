//! The configuration: what is shipped, what is refused and with which words, and which source beats which.

use std::path::Path;

use adjutant::account::Plan;
use adjutant::config::{Config, Env, Invalid, load, parse};
use adjutant::feed::Kind;
use adjutant::rules::Mode;
use secrecy::ExposeSecret as _;

const SHIPPED: &str = include_str!("../../config.toml");

/// A configuration with one app, up to what a test adds.
pub(crate) const GOOD: &str = r#"
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

fn env(vars: &[(&str, &str)]) -> Env {
    Env::from_vars(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn read(text: &str, vars: &[(&str, &str)]) -> Result<Config, Invalid> {
    parse(Path::new("config.toml"), text, &env(vars))
}

/// Each problem as one line: where, what, help.
fn told(error: &Invalid) -> Vec<String> {
    let text = error.to_string();
    let blocks = text.split("\n\n").map(|block| {
        let lines: Vec<&str> = block.lines().map(str::trim).collect();
        let what = lines[0].strip_prefix("error: ").unwrap();
        let at =
            lines[1].strip_prefix("--> ").unwrap().replace("config.toml:", "").replace("environment variable ", "");
        let help = lines.last().unwrap().trim_start_matches([' ', '|', '=', '^']);
        format!("{at}: {what}. {help}")
    });
    blocks.collect()
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let error = read(text, &[]).unwrap_err();
    assert_eq!(told(&error), expected, "\n{error}");
}

#[test]
fn the_shipped_file_is_refused_with_the_name_of_the_first_missing_key() {
    let error = read(SHIPPED, &[]).unwrap_err();
    let expected = "error: the configuration has no [[app]]\n--> config.toml\n = add [[app]] with name, kind, client_id, \
                    client_secret_file, webhook_secrets_file and [[app.account]], or run `adjutant setup`";
    assert_eq!(error.to_string(), expected);
}

/// Keys in force, without where they come from.
fn in_force(config: &Config) -> Vec<(String, String, Option<String>)> {
    config.effective.iter().map(|key| (key.section.clone(), key.key.clone(), key.value.clone())).collect()
}

#[test]
fn the_keys_of_the_shipped_file_are_the_defaults() {
    let (shipped, bare) = (read(&format!("{SHIPPED}{GOOD}"), &[]).unwrap(), read(GOOD, &[]).unwrap());
    assert_eq!(in_force(&shipped), in_force(&bare));
    let of_file = shipped.effective.iter().filter(|key| !key.section.starts_with("[[") && key.value.is_some());
    for key in of_file {
        assert_eq!(key.from, "file", "{} {} is not in the shipped file", key.section, key.key);
    }
}

#[test]
fn the_shipped_file_names_every_key() {
    let rules = r#"
[[rule]]
name = "everyone"
for = "meeting"
ensure = { settings = { waiting_room = true, join_before_host = true } }
[[rule]]
name = "users"
for = "user"
ensure = { assistants = ["api-user"] }
"#;
    let config = read(&format!("{GOOD}{rules}"), &[]).unwrap();
    for key in &config.effective {
        let written = SHIPPED.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{} = ", key.key))
                || line.contains(&format!("{{ {} = ", key.key))
                || line.contains(&format!(", {} = ", key.key))
                || line.contains(&format!("or {} = ", key.key))
        });
        assert!(written, "{} {} is not in the shipped file", key.section, key.key);
    }
}

/// The shipped file with its commented keys, and the files that it names.
pub(crate) fn filled(folder: &Path) -> String {
    let filled: String = SHIPPED
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with("[[") || code.split(" = ").next().is_some_and(|key| !key.contains(' ')) => {
                code
            }
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(folder.join("client-secret"), "client-secret-of-the-test\n").unwrap();
    std::fs::write(folder.join("webhook-secrets"), "webhook-secret-of-the-test\n\nanother-secret-of-test\n").unwrap();
    std::fs::write(folder.join("ops-url"), "https://hooks.example.com/services/abc\n").unwrap();
    std::fs::write(folder.join("smtp-password"), "a password\n").unwrap();
    std::fs::write(folder.join("timetable-secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    std::fs::write(folder.join("siem-headers"), "Authorization: Splunk a-token\nX-Tenant: a\n").unwrap();
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    filled.replace("client_id = \"…\"", "client_id = \"abc\"").replace("id = \"…\"", "id = \"acc\"")
}

#[test]
fn the_commented_lines_of_the_shipped_file_are_good_once_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let config = parse(&folder.path().join("config.toml"), &filled(folder.path()), &Env::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.apps[0].secrets.webhook.len(), 2);
    assert_eq!((config.rules.len(), config.consumers.len()), (12, 5));
    assert_eq!(
        config.notify.iter().map(adjutant::feed::notify::Notify::kind).collect::<Vec<_>>(),
        ["webhook", "email"]
    );
}

#[test]
fn every_notifier_that_cannot_tell_anybody_is_refused_without_its_secret() {
    let webhook = "[[notify]]\nname = \"n\"\nkind = \"webhook\"\n";
    let email = "[[notify]]\nname = \"n\"\nkind = \"email\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n";
    let codes = "expected \"account-leaving\", \"api-user\", ";
    for (case, text, at, expected) in [
        ("no kind", "[[notify]]\nname = \"n\"\nurl = \"https://hush\"\n".to_owned(), "1:1", "[[notify]] n has no kind"),
        ("no url", webhook.to_owned(), "1:1", "[[notify]] n has no url. add url_file"),
        (
            "plain http",
            format!("{webhook}url = \"http://hush.example\"\n"),
            "4:7",
            "url cannot be posted to: http is for private",
        ),
        ("no url at all", format!("{webhook}url = \"hush\"\n"), "4:7", "url cannot be posted to: it is not a URL"),
        ("a key of mail", format!("{webhook}url = \"https://a.example\"\nsmtp = \"a:25\"\n"), "5:1", "has no key smtp"),
        ("an unknown code", format!("{webhook}url = \"https://a.example\"\nonly = [\"hush\"]\n"), "5:9", codes),
        (
            "too often",
            format!("{webhook}url = \"https://a.example\"\nevery_minutes = 0\n"),
            "5:17",
            "minutes from 1 to 1440",
        ),
        (
            "a format that is none",
            format!("{webhook}url = \"https://a.example\"\nformat = \"irc\"\n"),
            "5:10",
            "\"slack\" or \"teams\"",
        ),
        ("no server", email.to_owned(), "1:1", "[[notify]] n has no smtp"),
        (
            "a server without a port",
            format!("{email}smtp = \"mail.example\"\n"),
            "6:8",
            "host and port of a mail server",
        ),
        (
            "mail in plain",
            format!("{email}smtp = \"mail.example:25\"\ntls = \"none\"\n"),
            "7:7",
            "mail.example is another machine",
        ),
        ("a user alone", format!("{email}smtp = \"a:25\"\nuser = \"u\"\n"), "1:1", "[[notify]] n has no password"),
        (
            "a password alone",
            format!("{email}smtp = \"a:25\"\npassword = \"hush\"\n"),
            "1:1",
            "[[notify]] n has no user",
        ),
        ("a sender with more", email.replace("a@b.example", "a@b.example\\nBcc: hush"), "4:8", "expected an address"),
        ("nobody to write to", email.replace("\"c@d.example\"", ""), "1:1", "[[notify]] n has no to"),
    ] {
        let error = read(&format!("{text}{GOOD}"), &[]).expect_err(case);
        let found = told(&error);
        assert!(
            found.iter().any(|one| one.starts_with(&format!("{at}: ")) && one.contains(expected)),
            "{case}: {found:?}"
        );
        let is_hush = error.to_string().contains("hush") && !["an unknown code", "a sender with more"].contains(&case);
        assert!(!is_hush, "{case}: {error}");
    }
}

/// Each with its text and all that is told of it.
type Case = (&'static str, String, Vec<String>);

fn bad_configurations() -> Vec<Case> {
    let app = |change: (&str, &str)| {
        assert!(GOOD.contains(change.0), "{}", change.0);
        GOOD.replace(change.0, change.1)
    };
    let with = |more: &str| format!("{more}{GOOD}");
    let after = |more: &str| format!("{GOOD}{more}");
    let name = "1 to 32 of a-z, 0-9 and -";
    vec![
        ("a key with a slip", with("[server]\nlistn = \"127.0.0.1:1\"\n"), vec!["2:1: [server] has no key listn. did you mean listen?".into()]),
        ("a key that is nothing like one", with("[log]\ncolour = true\n"), vec!["2:1: [log] has no key colour. expected one of format, level".into()]),
        ("a section with a slip", with("[sevrer]\n"), vec!["1:2: the configuration has no key sevrer. did you mean server?".into()]),
        ("a key outside of any section", with("listen = \"127.0.0.1:1\"\n"), vec!["1:1: the configuration has no key listen. expected one of server, admin, store, zoom, worker, moves, sweep, accounts, log, app, consumer, rule, rules, notify".into()]),
        ("a section that is no table", with("server = 3\n"), vec!["1:10: [server] is 3. expected a table, headed [server]".into()]),
        ("an address without a port", with("[server]\nlisten = \"127.0.0.1\"\n"), vec!["2:10: [server] listen is \"127.0.0.1\". expected an address and a port, as in \"127.0.0.1:8080\"".into()]),
        ("a number for an address", with("[admin]\nlisten = 8081\n"), vec!["2:10: [admin] listen is 8081. expected an address and a port, as in \"127.0.0.1:8081\"".into()]),
        ("one address for both listeners", with("[server]\nlisten = \"0.0.0.0:8081\"\n[admin]\nlisten = \"127.0.0.1:8081\"\n"), vec!["4:10: [admin] listen is 127.0.0.1:8081, and [server] listen is 0.0.0.0:8081. expected another port: operators must not be reached where Zoom is".into()]),
        ("a number out of range", with("[server]\nbody_secs = 0\n"), vec!["2:13: [server] body_secs is 0. expected a whole number of seconds from 1 to 60".into()]),
        ("a text for a number", with("[server]\nbody_secs = \"10s\"\n"), vec!["2:13: [server] body_secs is \"10s\". expected a whole number of seconds from 1 to 60".into()]),
        ("a number below zero", with("[server]\nconnections_max = -1\n"), vec!["2:19: [server] connections_max is -1. expected a whole number of connections from 16 to 1000000".into()]),
        ("a fraction", with("[worker]\nworkers = 1.5\n"), vec!["2:11: [worker] workers is 1.5. expected a whole number of jobs from 1 to 256".into()]),
        ("a proxy that is a name", with("[server]\ntrusted_proxies = [\"127.0.0.1\", \"proxy\"]\n"), vec!["2:33: [server] trusted_proxies holds \"proxy\". expected addresses or networks, as in [\"127.0.0.1\", \"10.0.0.0/8\"]".into()]),
        ("a list that is none", with("[admin]\nhosts = \"a\"\n"), vec!["2:9: [admin] hosts is \"a\". expected a list: [\"…\"], each host names without a port, as in [\"adjutant.internal\"]".into()]),
        ("a public address that is none", with("[server]\npublic_url = \"hooks.example.com\"\n"), vec!["2:14: [server] public_url is \"hooks.example.com\". expected where Zoom reaches this service, as in \"https://zoom-hooks.example.com\"".into()]),
        ("a store of another kind", with("[store]\nurl = \"postgres://db\"\n"), vec!["2:7: [store] url is \"postgres://db\". expected \"sled:FOLDER\", relative to this configuration".into()]),
        ("a master key that is none", with("[store]\nmaster_key = \"abc\"\n"), vec!["2:14: [store] master_key is no key. expected 64 hexadecimal digits, as `openssl rand -hex 32` prints them".into()]),
        ("entries kept for less than bodies", with("[store]\nbody_days = 30\nentry_days = 8\n"), vec!["3:14: [store] entry_days is 8, and body_days is 30. expected entry_days to be no less: entries say whose a body is, so that it can be forgotten".into()]),
        ("a master key twice", with(&format!("[store]\nmaster_key = \"{}\"\nmaster_key_file = \"x\"\n", "ab".repeat(32))), vec!["2:14: [store] has both master_key and master_key_file. expected exactly one of the two".into()]),
        ("tokens in plain over the network", with("[zoom]\napi_url = \"http://api.zoom.us/v2\"\n"), vec!["2:11: [zoom] api_url is \"http://api.zoom.us/v2\". expected a URL, as in \"https://api.zoom.us/v2\"; http:// only for this machine".into()]),
        ("a log format that is none", with("[log]\nformat = \"xml\"\n"), vec!["2:10: [log] format is \"xml\". expected \"text\" or \"json\"".into()]),
        ("dedupe no longer than both windows", with("[server]\nwindow_past_secs = 3600\nwindow_future_secs = 3600\n[store]\ndedupe_hours = 2\n"), vec!["5:16: [store] dedupe_hours is 2, which is 7200 s, and the window of accepted signatures is 7200 s (past 3600 s + future 3600 s). expected dedupe_hours to be longer: else a delivery could be replayed after it was forgotten".into()]),
        ("a reserve that leaves rules nothing", with("[zoom]\nhost_writes_per_day = 50\nhost_writes_reserve = 50\n"), vec!["1:1: [zoom] host_writes_reserve is 50, which leaves rules nothing of 50 a day. keep less than host_writes_per_day".into()]),
        ("a lease that a call outlasts", with("[worker]\nlease_secs = 60\n"), vec!["1:1: [worker] lease_secs is 60, expected at least twice call_secs_max (60) and at most 3600. change it, or what it must fit".into()]),
        ("not TOML", "listen = = 3\n".into(), vec!["1:10: this is not TOML. extra `=`, expected nothing".into()]),
        ("no app", "[log]\n".into(), vec!["config.toml: the configuration has no [[app]]. add [[app]] with name, kind, client_id, client_secret_file, webhook_secrets_file and [[app.account]], or run `adjutant setup`".into()]),
        ("an app that is no list", "[app]\nname = \"main\"\n".into(), vec![
            "1:1: app is a table. expected tables, each headed [[app]]".into(),
            "config.toml: the configuration has no [[app]]. add [[app]] with name, kind, client_id, client_secret_file, webhook_secrets_file and [[app.account]], or run `adjutant setup`".into(),
        ]),
        ("an app without a name", app(("name = \"main\"\n", "")), vec![format!("2:1: [[app]] has no name. add name = \"…\": {name}")]),
        ("a name with capitals", app(("\"main\"", "\"Main\"")), vec![format!("3:8: [[app]] has a name that cannot be taken. expected {name}")]),
        ("a name that is too long", app(("\"main\"", &format!("\"{}\"", "a".repeat(33)))), vec![format!("3:8: [[app]] has a name that cannot be taken. expected {name}")]),
        ("a kind that is none", app(("server-to-server", "jwt")), vec!["4:8: [[app]] main kind is \"jwt\". expected \"server-to-server\" or \"general\"".into()]),
        ("a client id that is still to be filled in", app(("abcDEF123", "…")), vec!["5:13: [[app]] main client_id is \"…\". expected the client id of the app in the Zoom Marketplace".into()]),
        ("a client secret that is a placeholder", app(("client-secret-of-the-test", "your-client-secret-here")), vec!["6:17: [[app]] main client_secret is a placeholder. expected the secret as Zoom shows it, 16 bytes or more".into()]),
        ("a client secret that is empty", app(("client-secret-of-the-test", "")), vec!["6:17: [[app]] main client_secret is empty. expected the secret as Zoom shows it, 16 bytes or more".into()]),
        ("no client secret", app(("client_secret = \"client-secret-of-the-test\"\n", "")), vec!["2:1: [[app]] main has no client_secret. add client_secret_file = \"…\" (or client_secret, or ADJUTANT__APP__MAIN__CLIENT_SECRET)".into()]),
        ("a client secret twice", app(("client_secret =", "client_secret_file = \"x\"\nclient_secret =")), vec!["6:22: [[app]] main has both client_secret and client_secret_file. expected exactly one of the two".into()]),
        ("a webhook secret of 15 bytes", app(("webhook-secret-of-the-test", "123456789012345")), vec!["7:19: [[app]] main webhook_secrets has 15 bytes. expected the secret as Zoom shows it, 16 bytes or more".into()]),
        ("a webhook secret that is a placeholder", app(("webhook-secret-of-the-test", "CHANGEME-CHANGEME")), vec!["7:19: [[app]] main webhook_secrets is a placeholder. expected the secret as Zoom shows it, 16 bytes or more".into()]),
        ("no webhook secrets in the list", app(("\"webhook-secret-of-the-test\"", "")), vec!["7:19: [[app]] main webhook_secrets is empty. expected one secret or more".into()]),
        ("one webhook secret that is no list", app(("[\"webhook-secret-of-the-test\"]", "\"webhook-secret-of-the-test\"")), vec!["7:19: [[app]] main webhook_secrets has the wrong type. expected a list of texts: [\"…\"]".into()]),
        ("an account without an id", app(("id = \"AAAAAABBBB\"\n", "")), vec!["8:1: [[app]] main [[app.account]] has no id. add id = the account id of the app's page in the Zoom Marketplace".into()]),
        ("a plan that is none", app(("id = \"AAAA", "plan = \"gold\"\nid = \"AAAA")), vec!["9:8: [[app]] main [[app.account]] plan is \"gold\". expected \"free\", \"pro\", \"business\", \"education\", \"enterprise\" or \"partner\"".into()]),
        ("an API user that is no user", app(("api-user@example.com", "me")), vec!["10:14: [[app]] main [[app.account]] api_users holds \"me\". expected users by email or id, as in [\"api-user@example.com\"]".into()]),
        ("two apps of one name", after(GOOD.replace("AAAAAABBBB", "CCCC").as_str()), vec!["13:8: two [[app]] are named \"main\". expected each name once".into()]),
        ("an account under two apps", after(GOOD.replace("\"main\"", "\"other\"").as_str()), vec!["12:1: account AAAAAABBBB is held by [[app]] main and by [[app]] other. expected each account under one app only".into()]),
    ]
}

fn bad_addresses_and_general_apps() -> Vec<Case> {
    let general = |api_user: &str| {
        format!(
            "[[app]]\nname = \"platform\"\nkind = \"general\"\nclient_id = \"abcDEF123\"\nclient_secret = \"client-secret-of-it\"\n\
             webhook_secrets = [\"webhook-secret-of-it\"]\napi_user = \"{api_user}\"\n"
        )
    };
    vec![
        ("a public address in plain", format!("[server]\npublic_url = \"http://hooks.example.com\"\n{GOOD}"), vec!["2:14: [server] public_url is \"http://hooks.example.com\". expected https, since Zoom takes no other; http is for an address of this machine alone, as in \"https://zoom-hooks.example.com\"".into()]),
        ("a public address with a path, where admins install an app", format!("[server]\npublic_url = \"https://hooks.example.com/zoom\"\n{}", general("ask")), vec!["2:14: [server] public_url is \"https://hooks.example.com/zoom\". expected it without a path where an [[app]] has kind = \"general\": install pages and /oauth/callback are at the root of the name, as in \"https://zoom-hooks.example.com\"".into()]),
        ("a public address with a query, which is no reason to say that nobody can install the app", format!("[server]\npublic_url = \"https://hooks.example.com?x=1\"\n{}", general("zoom-api@{domain}")), vec!["2:14: [server] public_url is \"https://hooks.example.com?x=1\". expected it without what follows ? or #, as in \"https://zoom-hooks.example.com\"".into()]),
        ("all mistakes of a general app at once", general("api@{domian}").replace("abcDEF123", "…"), vec![
            "1:1: [[app]] platform: nobody can install it. add public_url to [server]: where admins' browsers reach the public listener, which serves /install/{app} and /oauth/callback".into(),
            "4:13: [[app]] platform client_id is \"…\". expected the client id of the app in the Zoom Marketplace".into(),
            "7:12: [[app]] platform api_user is \"api@{domian}\". expected \"installer\" (the admin who installs the app), \"ask\", or an email, in which {domain} stands for that of the admin's, as in \"zoom-api@{domain}\"".into(),
        ]),
        ("a kind that is none, of an app that need not have an account", general("ask").replace("\"general\"", "\"generic\""), vec!["3:8: [[app]] platform kind is \"generic\". expected \"server-to-server\" or \"general\"".into()]),
    ]
}

fn bad_rules() -> Vec<Case> {
    let after = |more: &str| format!("{GOOD}{more}");
    vec![
        ("a rule for nothing known", after("[[rule]]\nname = \"r\"\nfor = \"group\"\nensure = { assistants = [\"api-user\"] }\n"), vec!["13:7: [[rule]] r for is \"group\". expected \"user\" or \"meeting\"".into()]),
        ("a rule that grants somebody else", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = { assistants = [\"eve@example.com\"] }\n"), vec![
            "2:1: [[rule]] r makes eve@example.com an assistant, and may_grant of account AAAAAABBBB of [[app]] main does not name them. add may_grant = [\"eve@example.com\"] to [[app.account]], or take them out of the rule".into(),
        ]),
        ("a rule that grants a text", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = { assistants = [\"eve\"], type = \"licensed\" }\n"), vec![
            "14:26: [[rule]] r.ensure assistants holds \"eve\". expected \"api-user\", or the email of somebody whom may_grant of [[app.account]] names".into(),
        ]),
        ("a rule that takes licences unasked", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = { type = \"basic\" }\n"), vec![
            "11:1: rule r: ensure.type = \"basic\" takes licences away, which needs allow_downgrade = true. change the rule".into(),
        ]),
        ("a setting of the wrong type", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nensure = { settings = { auto_recording = true, waiting_room = true } }\n"), vec![
            "14:42: [[rule]] r.ensure.settings auto_recording is true. expected \"local\", \"cloud\" or \"none\"".into(),
        ]),
        ("settings of users that are not there, in another branch, of the wrong type, out of range, or read-only", after("[[rule]]\nname = \"r\"\nfor = \"user\"\n[rule.ensure.settings]\nin_meting.chat = true\nwaiting_room = true\nin_meeting.chat = 1\nin_meeting.allow_users_save_chats = 4\nrecording.auto_recording = \"clouds\"\nwhiteboard.in_meeting_advanced_whiteboard = true\nfeature.cn_meeting = true\n"), vec![
            "15:1: [[rule]] r.ensure.settings has no key in_meting. did you mean in_meeting? (ensure.settings_unchecked takes any name)".into(),
            "16:1: [[rule]] r.ensure.settings has no key waiting_room. did you mean in_meeting.waiting_room? (ensure.settings_unchecked takes any name)".into(),
            "17:19: [[rule]] r.ensure.settings.in_meeting chat is 1. expected true or false".into(),
            "18:37: [[rule]] r.ensure.settings.in_meeting allow_users_save_chats is 4. expected 1, 2 or 3".into(),
            "19:28: [[rule]] r.ensure.settings.recording auto_recording is \"clouds\". expected \"local\", \"cloud\" or \"none\"".into(),
            "20:1: [[rule]] r.ensure.settings whiteboard is read-only. expected another: Zoom documents no way to set it; settings_unchecked tries it all the same".into(),
            "21:9: [[rule]] r.ensure.settings.feature cn_meeting is read-only. expected another: Zoom documents no way to set it; settings_unchecked tries it all the same".into(),
        ]),
        ("a feature flag that is not there", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = { feature = { webinars = true } }\n"), vec![
            "14:24: [[rule]] r.ensure.feature has no key webinars. did you mean webinar? (ensure.settings_unchecked takes any name)".into(),
        ]),
        ("a setting that is both checked and unchecked", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = { settings = { in_meeting = { chat = true } }, settings_unchecked = { in_meeting = \"all\" } }\n"), vec![
            "14:10: [[rule]] r.ensure.settings and [[rule]] r.ensure.settings_unchecked both name in_meeting.chat. expected it once".into(),
        ]),
        ("two rules that contradict each other", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nensure = { settings = { waiting_room = true } }\n[[rule]]\nname = \"s\"\nfor = \"meeting\"\nensure = { settings = { waiting_room = false } }\n"), vec![
            "15:1: rules r and s want different values of settings.waiting_room for every meeting. expected one of the two, or a when that parts them".into(),
        ]),
        ("times of events that make no sense", after("[[rule]]\nname = \"r\"\non = [\"meeting.created\"]\nafter = \"8d\"\nunless = [\"meeting.startd\", \"user.created\"]\nrelease = [\"meeting.endd\"]\nensure = { settings = { waiting_room = true } }\n"), vec![
            "14:9: [[rule]] r after is \"8d\". expected a time from 1s to 7d, in s, m, h or d, as in \"5m\"".into(),
            "15:10: [[rule]] r unless names meeting.startd. did you mean meeting.started?".into(),
            "15:29: [[rule]] r unless holds \"user.created\". expected names of events of meetings, as in [\"meeting.started\"]".into(),
            "16:11: [[rule]] r release names meeting.endd. did you mean meeting.ended?".into(),
        ]),
        ("what ends a timer that is none", after("[[rule]]\nname = \"r\"\non = [\"meeting.created\"]\nunless = [\"meeting.started\"]\nensure = { settings = { waiting_room = true } }\n"), vec![
            "14:10: [[rule]] r has unless, and no after. add after = \"5m\", or leave unless out".into(),
        ]),
        ("a timer that nothing begins", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nafter = \"5m\"\nensure = { settings = { waiting_room = true } }\n"), vec![
            "14:9: [[rule]] r has after, and no on. add on = [\"…\"]: a timer begins with an event".into(),
        ]),
        ("a timer about users that one event begins and ends", after("[[rule]]\nname = \"r\"\non = [\"user.created\"]\nafter = \"5m\"\nrelease = [\"meeting.started\"]\nensure = { assistants = [\"api-user\"] }\n"), vec![
            "14:9: [[rule]] r has after, and is not about meetings alone. expected events of meetings: a timer is about a run of one".into(),
            "15:11: [[rule]] r has release, and is about users. leave it out: what waits for a user goes on by any event about the user".into(),
        ]),
        ("a timer that one event begins and ends", after("[[rule]]\nname = \"r\"\non = [\"meeting.created\"]\nafter = \"5m\"\nunless = [\"meeting.created\"]\nrelease = []\nensure = { settings = { waiting_room = true } }\n"), vec![
            "15:10: [[rule]] r begins its timer and ends it with meeting.created. expected another event in one of the two".into(),
            "16:11: [[rule]] r has no events in release. expected names of events of meetings, as in [\"meeting.ended\"]".into(),
        ]),
        ("a record that is sent nowhere, and has no end", after("[[rule]]\nname = \"r\"\non = [\"meeting.created\"]\nafter = \"5m\"\nfold = \"attendance\"\nensure = { settings = { waiting_room = true } }\n"), vec![
            "15:8: [[rule]] r has fold, and no meeting.ended in on. add it: the record is made after it".into(),
            "15:8: [[rule]] r has both after and fold. expected one of the two".into(),
            "15:8: [[rule]] r has fold, and sends its record nowhere. add send = \"…\", the name of a consumer".into(),
        ]),
        ("a record of nothing known", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nfold = \"minutes\"\nensure = { settings = { waiting_room = true } }\n"), vec![
            "14:8: [[rule]] r fold is \"minutes\". expected \"attendance\"".into(),
        ]),
        ("a rule without ensure", after("[[rule]]\nname = \"r\"\nfor = \"user\"\n"), vec!["11:1: [[rule]] r has no ensure. add ensure = { assistants = [\"api-user\"] } or { settings = { waiting_room = true } }".into()]),
        ("a rule of the wrong kind", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nensure = { assistants = [\"api-user\"] }\n"), vec!["11:1: rule r: ensure.assistants does not belong to for = \"meeting\". change the rule".into()]),
        ("a mode that is none", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nmode = \"dry-run\"\nensure = { assistants = [\"api-user\"] }\n"), vec!["14:8: [[rule]] r mode is \"dry-run\". expected \"observe\" or \"enforce\"".into()]),
        ("more than all of an account", after("[[rule]]\nname = \"r\"\nfor = \"user\"\nmax_changes_percent = 101\nensure = { assistants = [\"api-user\"] }\n"), vec!["14:23: [[rule]] r max_changes_percent is 101. expected a whole number of percent from 1 to 100".into()]),
        ("a setting with a slip", after("[[rule]]\nname = \"r\"\nfor = \"meeting\"\nensure = { settings = { waiting_rom = true, join_before_host = false } }\n"), vec!["14:25: [[rule]] r.ensure.settings has no key waiting_rom. did you mean waiting_room? (ensure.settings_unchecked takes any name)".into()]),
        ("a rule that grants where there is nobody to grant", format!("{}[[rule]]\nname = \"r\"\nfor = \"user\"\nensure = {{ assistants = [\"api-user\"] }}\n", GOOD.replace("api_users = [\"api-user@example.com\"]\n", "")), vec!["2:1: [[app]] main: account AAAAAABBBB has no api_users. add api_users = [\"…\"]: [[rule]] r makes them everyone's assistant".into()]),
    ]
}

#[test]
fn bad_configurations_are_told_with_place_and_expectation() {
    let cases = [bad_configurations(), bad_addresses_and_general_apps(), bad_rules()].concat();
    let mut wrong = Vec::new();
    for (case, text, expected) in &cases {
        match read(text, &[]) {
            Ok(_) => wrong.push(format!("{case}: it was taken")),
            Err(error) if told(&error) != *expected => {
                wrong.push(format!("{case}:\n  is       {:#?}\n  expected {expected:#?}\n{error}", told(&error)));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_caret() {
    let error = read(&format!("\n[server]\n  listn = \"127.0.0.1:1\"\n{GOOD}"), &[]).unwrap_err();
    let expected = "error: [server] has no key listn\n --> config.toml:3:3\n  |\n3 |   listn = \"…\"\n  |   ^^^^^ did you mean \
                    listen?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn all_mistakes_are_told_in_the_order_of_the_file() {
    refused(
        &format!("[server]\nbody_secs = 0\nheader_secs = 0\n{}", GOOD.replace("server-to-server", "jwt")),
        &[
            "2:13: [server] body_secs is 0. expected a whole number of seconds from 1 to 60",
            "3:15: [server] header_secs is 0. expected a whole number of seconds from 1 to 60",
            "7:8: [[app]] main kind is \"jwt\". expected \"server-to-server\" or \"general\"",
        ],
    );
}

#[test]
fn no_message_and_no_debug_shows_a_secret() {
    let short = GOOD.replace("client-secret-of-the-test", "hunter2").replace("webhook-secret-of-the-test", "hunter2");
    let change = |from: &str, to: &str| GOOD.replace(from, to);
    let lines = "[\n  \"hunter2==\",\n  \"hunter2==\n]";
    let broken = [
        change("client-secret-of-the-test\"", "hunter2"),
        change("= \"client-secret-of-the-test\"", "\"hunter2\""),
        change("client_secret = \"client-secret-of-the-test\"", "client_secert = \"hunter2\""),
        change("client_secret = \"client-secret-of-the-test\"", "client_secert = hunter2"),
        change("webhook_secrets = ", "webhook_secrtes = ").replace("webhook-secret-of-the-test", "hunter2"),
        change("\"client-secret-of-the-test\"", "\"\"\"\nhunter2=\nhunter2\u{1}\"\"\""),
        change("[\"webhook-secret-of-the-test\"]", lines),
        change("kind =", "knd = 5 # the old secret is hunter2\nkind ="),
        "app = [{ name = \"main\", client_secret = \"hunter2\", knd = \"x\" }]\n".to_owned(),
        format!("[zoom]\ntoken = \"hunter2\"\n{GOOD}"),
    ];
    for text in broken.into_iter().chain([short]) {
        let error = read(&text, &[]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let config = read(GOOD, &[]).unwrap();
    for secret in ["client-secret-of-the-test", "webhook-secret-of-the-test"] {
        assert!(!format!("{config:?}").contains(secret), "{config:?}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_a_mistake() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    let wrong = (OsString::from("ADJUTANT__SERVER__LISTEN"), OsString::from_vec(vec![0xff]));
    let foreign = (OsString::from("LS_COLORS"), OsString::from_vec(vec![0xff]));
    let error = parse(Path::new("config.toml"), GOOD, &Env::from_os_vars([wrong, foreign])).unwrap_err();
    assert_eq!(told(&error), ["ADJUTANT__SERVER__LISTEN: its name or its value is not UTF-8. expected a text"]);
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let zero = Path::new("/dev/zero");
    let error = load(zero, &env(&[])).unwrap_err().to_string();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    let text = GOOD.replace("client_secret = \"client-secret-of-the-test\"", "client_secret_file = \"/dev/zero\"");
    let error = read(&text, &[]).unwrap_err().to_string();
    assert!(error.contains("larger than 65536 bytes"), "{error}");
    let error = adjutant::web::admin::token::read(zero).unwrap_err().to_string();
    assert!(error.contains("it holds no token"), "{error}");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let error = load(&pipe, &env(&[])).unwrap_err().to_string();
    assert!(
        error.ends_with("it is a pipe, and a file is needed. name a file with --config or ADJUTANT_CONFIG"),
        "{error}"
    );
    let file = format!("client_secret_file = \"{}\"", pipe.display());
    let text = GOOD.replace("client_secret = \"client-secret-of-the-test\"", &file);
    let error = read(&text, &[]).unwrap_err().to_string();
    assert!(error.contains("it is a pipe, and a file is needed"), "{error}");
}

#[test]
fn a_byte_order_mark_before_a_file_is_no_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = GOOD
        .replace("client_secret = \"client-secret-of-the-test\"", "client_secret_file = \"client\"")
        .replace("webhook_secrets = [\"webhook-secret-of-the-test\"]", "webhook_secrets_file = \"webhooks\"");
    for (name, text) in [
        ("config.toml", text.as_str()),
        ("client", "client-secret-of-the-test"),
        ("webhooks", "webhook-secret-of-the-test"),
    ] {
        std::fs::write(path(name), format!("\u{feff}{text}\r\n")).unwrap();
    }
    let config = load(&path("config.toml"), &env(&[])).unwrap();
    assert_eq!(config.apps[0].secrets.client.expose_secret(), "client-secret-of-the-test");
    assert_eq!(config.apps[0].secrets.webhook[0].expose_secret(), "webhook-secret-of-the-test");
}

#[test]
fn the_environment_beats_the_file() {
    let rule = "[[rule]]\nname = \"every-one\"\nfor = \"user\"\nensure = { assistants = [\"api-user\"] }\n";
    let vars = [
        ("ADJUTANT__SERVER__LISTEN", "127.0.0.1:9999"),
        ("ADJUTANT__SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
        ("ADJUTANT__APP__MAIN__CLIENT_ID", "another"),
        ("ADJUTANT__APP__MAIN__ACCOUNT__ID", "other-account"),
        ("ADJUTANT__APP__MAIN__ACCOUNT__PLAN", "education"),
        ("ADJUTANT__APP__MAIN__WEBHOOK_SECRETS", "first-secret-of-the-test,second-secret-of-the-test"),
        ("ADJUTANT__RULE__EVERY_ONE__MODE", "enforce"),
        ("UNRELATED", "x"),
    ];
    let config = read(&format!("[server]\nlisten = \"127.0.0.1:1\"\n{GOOD}{rule}"), &vars).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:9999");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    let app = &config.apps[0];
    assert_eq!((app.client_id.as_str(), app.accounts[0].id.as_str()), ("another", "other-account"));
    assert_eq!((app.accounts[0].plan, app.secrets.webhook.len()), (Plan::Business, 2));
    assert_eq!(config.rules[0].mode, Mode::Enforce);
}

#[test]
fn a_secret_of_the_environment_sets_aside_a_file_that_is_not_there() {
    let text = GOOD.replace("client_secret = \"client-secret-of-the-test\"", "client_secret_file = \"not-there\"");
    let config = read(&text, &[("ADJUTANT__APP__MAIN__CLIENT_SECRET", "client-secret-of-the-env")]);
    assert!(config.is_ok(), "{:?}", config.unwrap_err());
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    for (vars, expected) in [
        (
            [("ADJUTANT__SERVER__LISTEN", "here")],
            "ADJUTANT__SERVER__LISTEN: [server] listen is \"here\". expected an address and a port, as in \"127.0.0.1:8080\"",
        ),
        (
            [("ADJUTANT__SERVER__LISTN", "here")],
            "ADJUTANT__SERVER__LISTN: no key of the configuration has this name. did you mean ADJUTANT__SERVER__LISTEN?",
        ),
        (
            [("ADJUTANT__APP__MIAN__CLIENT_ID", "x")],
            "ADJUTANT__APP__MIAN__CLIENT_ID: no [[app]] is named \"mian\". did you mean ADJUTANT__APP__MAIN__…?",
        ),
        (
            [("ADJUTANT__APP__MAIN__CLIENT_SECRET", "short")],
            "ADJUTANT__APP__MAIN__CLIENT_SECRET: [[app]] main client_secret has 5 bytes. expected the secret as Zoom shows \
             it, 16 bytes or more",
        ),
        (
            [("ADJUTANT__SERVER__BODY_SECS", "soon")],
            "ADJUTANT__SERVER__BODY_SECS: [server] body_secs is \"soon\". expected a whole number of seconds from 1 to 60",
        ),
    ] {
        let error = read(GOOD, &vars).unwrap_err();
        assert_eq!(told(&error), [expected], "\n{error}");
    }
}

#[test]
fn a_file_of_secrets_is_found_beside_the_configuration_or_among_systemds_credentials() {
    let (folder, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(credentials.path().join("client"), "client-secret-of-the-test\n").unwrap();
    std::fs::write(folder.path().join("webhooks"), "webhook-secret-of-the-test\n").unwrap();
    let vars = env(&[("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap())]);
    for client in ["client", "credential:client"] {
        let text = GOOD
            .replace("client_secret = \"client-secret-of-the-test\"", &format!("client_secret_file = \"{client}\""))
            .replace("webhook_secrets = [\"webhook-secret-of-the-test\"]", "webhook_secrets_file = \"webhooks\"");
        let path = folder.path().join("config.toml");
        let config = parse(&path, &text, &vars);
        assert!(config.is_ok(), "{client}: {}", config.unwrap_err());
        let error = parse(&path, &text, &Env::default()).unwrap_err().to_string();
        assert!(error.contains("client_secret_file: cannot read") && error.contains("No such file"), "{error}");
    }
}

#[test]
fn plans_that_zoom_treats_alike_are_alike() {
    for (name, plan) in [
        ("free", Plan::Free),
        ("pro", Plan::Pro),
        ("business", Plan::Business),
        ("education", Plan::Business),
        ("enterprise", Plan::Business),
        ("partner", Plan::Business),
    ] {
        let config = read(&format!("{GOOD}plan = \"{name}\"\n"), &[]).unwrap();
        assert_eq!(config.apps[0].accounts[0].plan, plan, "{name}");
    }
    assert_eq!(read(GOOD, &[]).unwrap().apps[0].accounts[0].plan, Plan::Pro);
}

const CONSUMER: &str = "[[consumer]]\nname = \"c\"\n";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_consumer_that_cannot_be_is_refused_with_its_place_and_what_to_do() {
    let hook = format!("kind = \"webhook\"\nurl = \"https://c.example/in\"\nsecret = \"{WHSEC}\"\n");
    let help = "expected whsec_ and 24 to 64 random bytes in base64, as `openssl rand -base64 32` makes them; two of them, \
                with a space between, while they are changed";
    let file = "kind = \"file\"\npath = \"a.jsonl\"\n";
    let other = format!("{file}[[consumer]]\nname = \"d\"\n{file}");
    let rows: Vec<(String, Vec<String>)> = vec![
        (String::new(), vec!["15:1 [[consumer]] c has no kind. add kind = \"webhook\", \"file\", \"stdout\" or \"syslog\"".to_owned()]),
        (hook.replace("webhook", "hook"), vec!["17:8 [[consumer]] c kind is \"hook\". expected \"webhook\", \"file\", \"stdout\" or \"syslog\"".to_owned()]),
        (hook.replace("https", "http"), vec![
            "18:7 [[consumer]] c url cannot be posted to: http is for private addresses alone: use https, or set \
             allow_private = true. expected https://…".to_owned(),
        ]),
        (hook.replace("https://c", "https://me:pw@c"), vec![
            "18:7 [[consumer]] c url cannot be posted to: it holds a user name or a password. expected https://…".to_owned(),
        ]),
        (hook.replace("https://c.example/in", "https://10.0.0.1/"), vec![
            "18:7 [[consumer]] c url cannot be posted to: 10.0.0.1 is at 10.0.0.1, a private address: set allow_private = \
             true if it is meant. expected https://…".to_owned(),
        ]),
        (hook.replace("url", "# url"), vec!["15:1 [[consumer]] c has no url. add url = \"https://…\" (or url_file, where it is a secret): where events are posted".to_owned()]),
        (hook.replace("whsec_", "sec_"), vec![format!("19:10 [[consumer]] c secret does not begin with whsec_. {help}")]),
        (hook.replace("LaLaSw", ""), vec![format!("19:10 [[consumer]] c secret is no base64 after whsec_. {help}")]),
        (hook.replace(WHSEC, "whsec_AAAA"), vec![format!("19:10 [[consumer]] c secret holds 3 bytes, and 24 to 64 make a secret. {help}")]),
        (format!("{hook}path = \"x\"\n"), vec!["20:8 [[consumer]] c has path. expected it only with kind = \"file\"".to_owned()]),
        (format!("{file}allow_private = true\n"), vec!["19:17 [[consumer]] c has allow_private. expected it only with kind = \"webhook\"".to_owned()]),
        (file.replace("a.jsonl", "a/"), vec!["18:8 [[consumer]] c path is \"a/\". expected a file, as in \"events.jsonl\", relative to this one".to_owned()]),
        (format!("{hook}filter = 'entry.knd == \"call\"'\n"), vec!["20:10 [[consumer]] c has filter. expected it only with include = [\"audit\"], [\"deliveries\"] or [\"checkpoints\"]".to_owned()]),
        (format!("{hook}include = [\"audit\"]\nfilter = 'entry.knd == \"call\"'\n"), vec!["21:17 [[consumer]] c filter, column 7: entry has no field knd. did you mean kind?".to_owned()]),
        (format!("{hook}include = [\"audits\"]\n"), vec!["20:12 [[consumer]] c include holds \"audits\". expected \"audit\", \"deliveries\" or \"checkpoints\"".to_owned()]),
        (format!("{hook}include = [\"audit\"]\nsecrets = true\n"), vec!["21:11 [[consumer]] c has secrets. expected it only with include = [\"deliveries\"]".to_owned()]),
        (format!("{hook}include = [\"audit\"]\nbatch_max = 0\n"), vec!["21:13 [[consumer]] c batch_max is 0. expected a whole number of entries from 1 to 1000".to_owned()]),
        (format!("{hook}headers = [\"Authorization\"]\n"), vec!["20:11 [[consumer]] c headers has as its number 1 what is no header. expected a name, a colon and a value each, as in \"Authorization: Splunk …\"".to_owned()]),
        (format!("{hook}headers = [\"Host: hush\"]\n"), vec!["20:11 [[consumer]] c headers sets host, which is not for it to say. expected a name, a colon and a value each, as in \"Authorization: Splunk …\"".to_owned()]),
        (format!("{file}batch_max = 7\n"), vec!["19:13 [[consumer]] c has batch_max. expected it only with kind = \"webhook\"".to_owned()]),
        (format!("{file}keep = 7\n"), vec!["19:8 [[consumer]] c has keep. expected it only with rotate_mib or rotate_daily".to_owned()]),
        ("kind = \"syslog\"\naddress = \"here\"\n".to_owned(), vec!["18:11 [[consumer]] c address is \"here\". expected the host and port of a receiver, as in \"siem.example:6514\"".to_owned()]),
        (other, vec!["19:1 [[consumer]] c and d write to ./a.jsonl. expected a file for each, or one consumer for both rules".to_owned()]),
    ];
    let before = GOOD.lines().count();
    for (text, expected) in rows {
        let error = read(&format!("{GOOD}{}{CONSUMER}{text}", "\n".repeat(14 - before)), &[]).unwrap_err();
        let expected: Vec<String> = expected.iter().map(|line| line.replacen(' ', ": ", 1)).collect();
        assert_eq!(told(&error), expected, "\n{text}\n{error}");
        assert!(!error.to_string().contains("MfKQ9r8"), "a secret is shown: {error}");
    }
}

#[test]
fn a_consumers_secrets_come_from_the_file_the_environment_or_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(folder.path().join("key"), format!("{WHSEC}\n{WHSEC}\n")).unwrap();
    let hook = |more: &str| format!("{GOOD}{CONSUMER}kind = \"webhook\"\nurl = \"https://c.example/in\"\n{more}\n");
    let secrets = |text: &str, vars: &[(&str, &str)]| {
        let config = parse(&path, text, &env(vars)).unwrap();
        assert!(!format!("{config:?}").contains("MfKQ9r8"));
        assert!(
            config.effective.iter().all(|key| !format!("{key:?}").contains("/in")),
            "a URL is no secret, its path may be"
        );
        match &config.consumers[0].kind {
            Kind::Webhook(webhook) => webhook.secrets.len(),
            _ => 0,
        }
    };
    assert_eq!(secrets(&hook(&format!("secret = \"{WHSEC} {WHSEC}\"")), &[]), 2);
    assert_eq!(secrets(&hook("secret_file = \"key\""), &[]), 2);
    std::fs::write(folder.path().join("url"), "https://c.example/in/planted\n").unwrap();
    let by_file = |text: &str| text.replace("url = \"https://c.example/in\"", "url_file = \"url\"");
    assert_eq!(secrets(&by_file(&hook("secret_file = \"key\"")), &[]), 2);
    let config = parse(&path, &by_file(&hook("secret_file = \"key\"")), &env(&[])).unwrap();
    assert!(!format!("{config:?}").contains("planted"), "{config:?}");
    assert_eq!(config.consumers[0].kind.place(), "https://c.example");
    let both = hook("secret_file = \"key\"\nurl_file = \"url\"");
    let error = parse(&path, &both, &env(&[])).unwrap_err().to_string();
    assert!(error.contains("[[consumer]] c has both url and url_file") && !error.contains("/in"), "{error}");
    assert_eq!(secrets(&hook("secret_file = \"nowhere\""), &[("ADJUTANT__CONSUMER__C__SECRET", WHSEC)]), 1);
}

#[test]
fn a_rule_sends_to_a_notifier_as_to_a_consumer_and_the_two_share_their_names() {
    let notify = |name: &str| {
        format!("[[notify]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"https://n.example/planted\"\n")
    };
    let file = format!("{CONSUMER}kind = \"file\"\npath = \"a.jsonl\"\n");
    let rule = |to: &str| {
        format!("[[rule]]\nname = \"tell\"\non = [\"meeting.created\"]\nsend = \"{to}\"\nseverity = \"critical\"\n")
    };
    let config = read(&format!("{GOOD}{file}{}{}", notify("ops"), rule("ops")), &[]).unwrap();
    let send = config.rules[0].send.as_ref().unwrap();
    let severity = send.severity.map(adjutant::alarm::Severity::word);
    assert_eq!((send.is_to_people, severity, config.notify[0].rule_messages_per_hour), (true, Some("critical"), 30));
    let config = read(&format!("{GOOD}{file}{}{}", notify("ops"), rule("c")), &[]).unwrap();
    assert!(!config.rules[0].send.as_ref().unwrap().is_to_people);
    let before = GOOD.lines().count();
    let line = before + 6;
    let error = read(&format!("{GOOD}{file}{}", notify("c")), &[]).unwrap_err();
    let expected = format!(
        "{line}:8: a [[consumer]] and a [[notify]] are both named \"c\". expected another name for one of them: rules send to \
         either by its name"
    );
    assert_eq!(told(&error), [expected]);
    let error = read(&format!("{GOOD}{}{}", notify("ops"), rule("opz")), &[]).unwrap_err();
    assert!(told(&error)[0].ends_with("there is no such [[consumer]] or [[notify]]. did you mean ops?"), "{error}");
    let error = read(&format!("{GOOD}{}rule_messages_per_hour = 0\n", notify("ops")), &[]).unwrap_err();
    let expected = "rule_messages_per_hour is 0. expected a whole number of messages from 1 to 10000";
    assert!(told(&error)[0].ends_with(expected), "{error}");
}
