//! A changed configuration is taken in whole, or what runs stays: with the real binary, real files and real signals.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use adjutant::config::{Config, Env, Unsettled, agree, load};
use adjutant::sim::NewUser;
use rustix::process::Signal;

use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, API_USER, Service};

/// No Zoom is needed: nobody listens there. The rules of a folder run beside the two of the configuration.
fn service(files: &[(&str, &str)]) -> Service {
    let service = Service::new("http://127.0.0.1:9/v2", "http://127.0.0.1:9/oauth");
    std::fs::create_dir(service.folder().join("rules")).unwrap();
    for (name, text) in files {
        std::fs::write(service.folder().join("rules").join(name), text).unwrap();
    }
    append(&service, "[rules]\nfolder = \"rules\"\n");
    service
}

fn append(service: &Service, text: &str) {
    let path = service.folder().join("config.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, before + text).unwrap();
}

fn rule(name: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nfor = \"user\"\nensure = {{ assistants = [\"api-user\"] }}\n")
}

#[test]
fn a_reload_takes_in_rules_and_names_what_waits_for_a_restart() {
    let mut service = service(&[]);
    assert!(service.start(&[]));
    std::fs::write(service.folder().join("rules/more.toml"), rule("more")).unwrap();
    append(
        &service,
        "[worker]\nworkers = 3\nper_account_max = 2\n[[app]]\nname = \"other\"\nkind = \"server-to-server\"\n",
    );
    append(
        &service,
        "client_id = \"a\"\nclient_secret = \"a-long-client-secret\"\nwebhook_secrets = [\"a-long-secret-too\"]\n",
    );
    append(&service, "[[app.account]]\nid = \"another\"\napi_users = [\"a@b.example\"]\n");
    let (code, out, err) = service.command(&["reload"]);
    let expected = "in force: 3 rules for 1 account: 2 enforce, 1 observes; 1 new: more\nneeds a restart: [[app]] other\n\
                    needs a restart: [worker] workers\nneeds a restart: [worker] per_account_max\n";
    assert_eq!((code, out.as_str()), (0, expected), "{err}");
    // A file that a person took away is a rule less.
    std::fs::remove_file(service.folder().join("rules/more.toml")).unwrap();
    let config = service.folder().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("mode = \"enforce\"", "mode = \"observe\"", 1)).unwrap();
    let view = service.admin("POST", "/v1/reload").unwrap();
    let counts = ["rules", "enforced", "observed"].map(|key| view[key].as_u64().unwrap());
    assert_eq!((counts, &view["added"]), ([2, 1, 1], &serde_json::json!([])), "{view}");
    assert_eq!(
        (&view["changed"][0], &view["gone"][0]),
        (&"api-user-assists-everyone".into(), &"more".into()),
        "{view}"
    );
    let (_, out, _) = service.command(&["reload"]);
    assert!(out.starts_with("in force: 2 rules for 1 account: 1 enforces, 1 observes\n"), "{out}");
    let (_, log, _) = service.command(&["audit", "tail", "-n", "10"]);
    assert!(log.contains("reloaded") && log.contains("3 rules, 1 accounts"), "{log}");
}

#[test]
fn a_mistake_keeps_the_rules_that_run_and_is_told_until_a_reload_is_good() {
    let mut service = service(&[("a.toml", &rule("a"))]);
    assert!(service.start(&[]));
    let file = service.folder().join("rules/a.toml");
    let alarms = |service: &Service| service.admin("GET", "/v1/attention").unwrap()["alarms"].clone();
    let named = "except = [\"jill.hill@ example.com\"]\nwhen = 'user.email == \"jill@example.com\" && user.typ == 1'\n";
    for (n, (text, problem)) in [
        (rule("a").replace("\"user\"", "\"users\""), "error: [[rule]] a for is \"users\""),
        (rule("a") + named, "error: [[rule]] a except holds \"jill.hill@ example.com\""),
        (rule("a").replace(']', ""), "error: this is not TOML"),
        (String::new(), "error: this file of rules is empty"),
        (rule("waiting-room"), "error: two [[rule]] are named \"waiting-room\""),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&file, text).unwrap();
        let (status, answer) = service.ask("POST", "/v1/reload").unwrap();
        let detail = answer["detail"].as_str().unwrap();
        assert!(status == 400 && detail.starts_with(problem) && detail.contains("rules/a.toml"), "{status} {answer}");
        let told = alarms(&service);
        assert!(told[0]["code"] == "reload" && told[0]["what"].as_str().unwrap().contains(detail), "{told}");
        // The log is written beside.
        while service.log().matches("the configuration was not taken in").count() <= 2 * n {
            assert!(service.is_running(), "{}", service.log());
            std::thread::yield_now();
        }
        let (code, _, err) = service.command(&["reload"]);
        assert!(code == 78 && err.contains(problem), "{code}: {err}");
    }
    // Of what a configuration says only the places: it is full of emails.
    let log = service.log();
    assert!(log.contains("2 mistakes, at ") && log.contains("rules/a.toml:5:"), "{log}");
    assert!(!log.contains("jill") && !log.contains("users") && !log.contains("waiting-room"), "{log}");
    std::fs::write(&file, rule("a").replace("for = \"user\"", "on = [\"user.created\"]")).unwrap();
    let view = service.admin("POST", "/v1/reload").unwrap();
    assert_eq!(view["changed"], serde_json::json!(["a"]), "one that turns is taken in: its jobs know whose they are");
    std::fs::write(&file, rule("b")).unwrap();
    assert_eq!(service.admin("POST", "/v1/reload").unwrap()["rules"], 3);
    assert_eq!(alarms(&service), serde_json::json!([]));
}

/// Which signals a process catches, as Linux tells it.
fn catches(pid: rustix::process::Pid, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
    u64::from_str_radix(caught.trim(), 16).is_ok_and(|bits| bits & (1 << (signal - 1)) != 0)
}

#[test]
fn a_hangup_reads_the_configuration_again_and_never_ends_the_service() {
    let mut service = service(&[("a.toml", &rule("a"))]);
    let pid = service.spawn(&[]);
    // From the first moment at which it listens on, also while it starts.
    while !catches(pid, 1) {
        std::thread::yield_now();
    }
    for _ in 0..50 {
        rustix::process::kill_process(pid, Signal::HUP).unwrap();
    }
    assert!(service.wait_until_up(), "{}", service.log());
    let reloads = |service: &Service| service.log().matches("was read again").count();
    while reloads(&service) == 0 {
        assert!(service.is_running(), "{}", service.log());
        std::thread::yield_now();
    }
    std::fs::write(service.folder().join("rules/b.toml"), "[[rule]]\n").unwrap();
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    while !service.log().contains("was not taken in") {
        assert!(service.is_running(), "{}", service.log());
        std::thread::yield_now();
    }
    assert_eq!(service.terminate(), Some(0), "{}", service.log());
}

#[test]
fn files_that_are_replaced_by_rename_all_the_time_drop_no_rule() {
    let names: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
    let texts: Vec<(String, String)> = names.iter().map(|name| (format!("{name}.toml"), rule(name))).collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut service = service(&files);
    assert!(service.start(&[]));
    let (stop, folder) = (AtomicBool::new(false), service.folder().join("rules"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (name, text) in &texts {
                    let written = folder.join(format!("{name}.new"));
                    std::fs::write(&written, text).unwrap();
                    std::fs::rename(&written, folder.join(name)).unwrap();
                }
            }
        });
        for _ in 0..10 {
            let (status, answer) = service.ask("POST", "/v1/reload").unwrap();
            assert!(status == 400 || answer["rules"] == 22, "{status} {answer}");
            assert!(status == 200 || answer["detail"].as_str().unwrap().contains("again and again"), "{answer}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(service.admin("POST", "/v1/reload").unwrap()["rules"], 22);
}

fn read(folder: &Path) -> Config {
    load(&folder.join("config.toml"), &Env::default()).unwrap()
}

#[test]
fn two_readings_agree_only_where_no_file_changed_and_none_was_overlooked() {
    let service = service(&[("a.toml", &rule("a")), ("b.toml", &rule("b"))]);
    let (folder, b) = (service.folder(), service.folder().join("rules/b.toml"));
    let both = read(folder);
    assert_eq!(agree(&both, &Ok(read(folder)), &Ok(read(folder))), Ok(()));
    std::fs::write(&b, rule("c")).unwrap();
    assert_eq!(agree(&both, &Ok(both.clone()), &Ok(read(folder))), Err(Unsettled::Differs));
    std::fs::remove_file(&b).unwrap();
    let one = read(folder);
    assert_eq!(agree(&both, &Ok(one.clone()), &Ok(one.clone())), Ok(()), "it is gone");
    std::fs::write(&b, rule("b")).unwrap();
    let overlooked = Err(Unsettled::Missed(b.display().to_string()));
    assert_eq!(agree(&both, &Ok(one.clone()), &Ok(one)), overlooked, "it is there");
}

const RULE: &str = "api-user-assists-everyone";

/// The configuration without that rule.
fn without(config: &str) -> String {
    let parts: Vec<&str> = config.split("[[rule]]").collect();
    assert!(parts[1].contains(RULE) && parts.len() == 3);
    format!("{}[[rule]]{}", parts[0], parts[2])
}

/// The service, whose rule was taken away while a job of it waited; and the configuration that has it.
fn bereft(email: &str) -> (Served, String) {
    let mut served = served("[sweep]\ncron = \"0 3 1 1 *\"\n");
    served.settle();
    served.created(NewUser::basic(email));
    let with = std::fs::read_to_string(served.service.folder().join("config.toml")).unwrap();
    served.reload(|config| without(&config));
    let job = served.service.admin("GET", "/v1/jobs?state=waiting").unwrap()[0]["id"].as_str().unwrap().to_owned();
    served.told(&["jobs", "retry", &job], 0);
    served.service.wait_until_idle();
    served.world.set_licence(ACCOUNT, email, 2).unwrap();
    (served, with)
}

#[test]
fn jobs_of_a_rule_that_is_taken_away_wait_for_it_and_are_done_once_when_it_is_back() {
    let (mut served, with) = bereft("late@school.example");
    let told = served.told(&["attention"], 0);
    let cancel = format!("adjutant jobs cancel --cause rule-gone --rule {RULE} --account {ACCOUNT}");
    assert!(told.contains("PARKED  1 job of account") && told.contains(&cancel), "{told}");
    served.reload(|_| with);
    while served.world.assistants(ACCOUNT, "late@school.example").is_empty() {
        std::thread::yield_now();
    }
    served.service.wait_until_idle();
    assert_eq!(served.world.assistant_writes(ACCOUNT, "late@school.example"), 1);
    assert!(served.service.log().contains("parked jobs go on"), "{}", served.service.log());
    assert!(served.told(&["attention"], 0).contains("nothing needs a person"));
    assert!(served.told(&["rules", "explain", "nobody@school.example"], 1).contains("nothing is stored about"));
}

#[test]
fn jobs_of_a_rule_that_is_gone_for_good_are_ended_by_a_person() {
    let (mut served, with) = bereft("late@school.example");
    let cancel = ["jobs", "cancel", "--cause", "rule-gone"];
    let and = |more: &[&'static str]| [&cancel[..], more].concat();
    let asks = served.told(&cancel, 2);
    assert!(asks.contains("1 job is parked for rule-gone") && asks.contains("add --yes"), "{asks}");
    served.told(&and(&["--rule", "nothing", "--yes"]), 1);
    assert_eq!(served.told(&and(&["--rule", RULE, "--yes"]), 0), "1 job is cancelled\n");
    assert!(served.told(&["attention"], 0).contains("nothing needs a person"));
    let audit = served.told(&["audit", "tail", "-n", "3"], 0);
    assert!(audit.contains("cancelled") && audit.contains("by admin token"), "{audit}");
    served.reload(|_| with);
    served.service.wait_until_idle();
    assert_eq!(served.world.assistants(ACCOUNT, "late@school.example"), [""; 0]);
}

#[test]
fn who_waits_for_the_next_hour_is_told_and_a_higher_limit_lets_them_go_on() {
    let mut served = served("[sweep]\ncron = \"0 3 1 1 *\"\n");
    served.settle();
    served.reload(|config| config.replacen("max_changes_per_hour = 1000000", "max_changes_per_hour = 1", 1));
    let emails: Vec<String> = (0..4).map(|n| format!("new-{n}@school.example")).collect();
    for email in &emails {
        let id = served.world.add_user(ACCOUNT, NewUser::licensed(email)).unwrap();
        let event = format!(
            r#"{{"event":"user.created","event_ts":1,"payload":{{"account_id":"{ACCOUNT}","object":{{"id":"{id}"}}}}}}"#
        );
        assert_eq!(served.service.deliver(&event).unwrap(), 200);
    }
    while !served.alarms().contains("rule-limit") {
        std::thread::yield_now();
    }
    assert!(served.alarms().contains(&format!("rule {RULE} made the ")), "{}", served.alarms());
    served.reload(|config| config.replacen("max_changes_per_hour = 1\n", "max_changes_per_hour = 1000000\n", 1));
    while emails.iter().any(|email| served.world.assistants(ACCOUNT, email).is_empty()) {
        std::thread::yield_now();
    }
    served.service.wait_until_idle();
    assert_eq!(served.alarms(), "[]");
}

#[test]
fn a_rule_that_came_to_its_share_goes_on_when_a_person_resumes_it() {
    let mut served = served("[sweep]\ncron = \"0 3 1 1 *\"\n");
    for n in 0..50 {
        served.world.add_user(ACCOUNT, NewUser::licensed(&format!("many-{n}@school.example"))).unwrap();
    }
    served.settle();
    served.told(&["sweep"], 0);
    served.service.wait_until_idle();
    served.reload(|config| config.replacen("max_changes_percent = 100", "max_changes_percent = 1", 1));
    for n in 0..3 {
        served.created(NewUser::licensed(&format!("new-{n}@school.example")));
    }
    let left = |served: &Served| served.world.without_assistant(ACCOUNT, API_USER).len();
    assert_eq!(left(&served), 2);
    let told = served.told(&["attention"], 0);
    assert!(told.contains(&format!("adjutant rules resume {RULE} --account {ACCOUNT}")), "{told}");
    assert_eq!(served.told(&["rules", "resume", RULE], 0), format!("rule {RULE} goes on; 2 jobs are tried again\n"));
    served.service.wait_until_idle();
    assert_eq!(left(&served), 1, "one more, and it stops again");
    assert!(served.told(&["rules", "resume", "nothing"], 1).contains("there is no rule nothing"));
}

#[test]
fn what_the_files_say_and_the_service_does_not_do_yet_is_told_beside_the_configuration() {
    let mut service = service(&[("a.toml", &rule("a"))]);
    assert!(service.start(&[]));
    let told = |service: &Service| {
        let (code, out, err) = service.command(&["config"]);
        assert!(code == 0 && out.contains("[worker]"), "{code}: {err}");
        err
    };
    assert_eq!(told(&service), "");
    std::fs::write(service.folder().join("rules/a.toml"), rule("a") + "mode = \"enforce\"\n" + &rule("b")).unwrap();
    append(&service, "[worker]\nworkers = 3\nper_account_max = 2\n");
    let restart =
        "warning: the running service has it otherwise until a restart: [worker] workers, [worker] per_account_max\n";
    let reload = "warning: the running service has it otherwise until `adjutant reload`: [[rule]] a, [[rule]] b\n";
    assert_eq!(told(&service), format!("{reload}{restart}"));
    assert_eq!(told(&service), format!("{reload}{restart}"), "asking changes nothing");
    for words in
        [&["rules", "plan", "--rule", "b"][..], &["rules", "explain", "a@b.example"], &["sweep", "--rule", "b"]]
    {
        let (_, _, err) = service.command(words);
        assert!(err.starts_with(&format!("{reload}{restart}")), "{words:?}: {err}");
    }
    service.admin("POST", "/v1/reload").unwrap();
    assert_eq!(told(&service), restart);
    let config = std::fs::read_to_string(service.folder().join("config.toml")).unwrap();
    let account = config.replace("api_users = [", "api_users = [\"another@school.example\", ");
    std::fs::write(service.folder().join("config.toml"), account).unwrap();
    std::fs::remove_file(service.folder().join("rules/a.toml")).unwrap();
    let reload = "warning: the running service has it otherwise until `adjutant reload`: [[rule]] a, [[rule]] b, account test-account\n";
    assert_eq!(told(&service), format!("{reload}{restart}"));
    service.kill();
    assert_eq!(told(&service), "", "nobody answers");
}

#[test]
fn a_mistake_in_a_rule_keeps_nobody_from_the_service_that_runs_and_one_about_admin_does() {
    let mut service = service(&[("a.toml", &rule("a"))]);
    assert!(service.start(&[]));
    let config = service.folder().join("config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let copy = service.folder().join("copy").display().to_string();
    let warning = format!(
        "warning: {} has mistakes, which `adjutant check-config` names. this only asks the service that runs\n",
        config.display()
    );
    for (broken, text) in [
        ("rules/a.toml", "rule = ".to_owned()),
        ("rules/a.toml", rule("a").replace("\"user\"", "\"users\"")),
        ("config.toml", format!("{good}[worker]\nworkers = 0\n[[app]]\n")),
    ] {
        std::fs::write(service.folder().join(broken), text).unwrap();
        for words in [
            &["attention"][..],
            &["jobs", "list"],
            &["deliveries", "list"],
            &["audit", "tail", "-n", "1"],
            &["audit", "verify"],
            &["sweep", "list"],
            &["store", "backup", &copy],
        ] {
            let (code, out, err) = service.command(words);
            assert_eq!((code, err.as_str()), (0, warning.as_str()), "{words:?}: {out}");
        }
        std::fs::remove_dir_all(&copy).unwrap();
        let (code, _, err) = service.command(&["reload"]);
        assert!(code == 78 && err.starts_with(&format!("{warning}error: ")), "{code}: {err}");
    }
    std::fs::write(service.folder().join("rules/a.toml"), "rule = ").unwrap();
    let (admin, public) = (service.admin.to_string(), service.public.to_string());
    for (text, expected) in [
        (good.replace(&admin, "nowhere"), "error: [admin] listen is \"nowhere\"\n"),
        (good.replace(&admin, &public), "error: [admin] listen is "),
        (good.replace("[admin]", "[admin]\nlistn = 1"), "error: [admin] has no key listn\n"),
        (good.replace(&admin, &format!("{admin}\"\"")), "error: this is not TOML\n"),
    ] {
        std::fs::write(&config, text).unwrap();
        let (code, out, err) = service.command(&["jobs", "list"]);
        assert!(code == 78 && out.is_empty(), "{code}: {out}");
        assert!(err.starts_with(expected) && err.matches("error: ").count() == 1, "{err}");
    }
}
