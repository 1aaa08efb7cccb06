//! Against small servers on loopback: one that takes POSTs, one that speaks SMTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::chance::SeededChance;
use crate::clock::ManualClock;

/// 2026-11-20T12:00:00Z
const NOON: Timestamp = Timestamp::from_secs(1_795_176_000);
const EVERY: Duration = Duration::from_secs(15 * 60);

/// What got kept, also over a restart.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Memory for Kept {
    async fn keep(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        lock(&self.0).insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn kept(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.0).get(name).cloned()
    }
}

/// Takes POSTs, and answers what the test says.
#[derive(Clone)]
struct Inbox {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<u16>>,
}

impl Inbox {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let inbox = Self { url, bodies: Arc::default(), status: Arc::new(Mutex::new(200)) };
        let served = inbox.clone();
        let take = move |body: String| async move {
            lock(&served.bodies).push(body);
            (StatusCode::from_u16(*lock(&served.status)).unwrap(), "the-url-is-a-secret")
        };
        let router = Router::new().route("/hook", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        inbox
    }

    fn answers(&self, status: u16) {
        *lock(&self.status) = status;
    }

    /// What came since the last look.
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.bodies))
    }
}

/// Notifiers with a clock that stands still, and what outlasts them.
struct World {
    clock: ManualClock,
    kept: Arc<Kept>,
}

impl World {
    fn new() -> Self {
        Self { clock: ManualClock::at(NOON), kept: Arc::default() }
    }

    /// As it is after a start.
    fn notifier(&self, to: To, only: &[&'static str]) -> Notifier {
        Notifier::new(notify("ops", to, only), self.parts())
    }

    fn parts(&self) -> Parts {
        let (memory, clock) = (Arc::<Kept>::clone(&self.kept), Arc::new(self.clock.clone()));
        Parts { memory, clock, chance: Arc::new(SeededChance::new(1)) }
    }

    fn webhook(&self, inbox: &Inbox) -> Notifier {
        self.notifier(webhook(&inbox.url, Format::Plain), &[])
    }
}

fn notify(name: &str, to: To, only: &[&'static str]) -> Notify {
    Notify { name: name.to_owned(), to, only: only.to_vec(), every: EVERY, rule_messages_per_hour: 30 }
}

fn webhook(url: &str, format: Format) -> To {
    To::Webhook(Webhook { url: url.to_owned().into(), format, allow_private: true })
}

fn parked(count: u64) -> Alarm {
    let command = "adjutant jobs retry --cause no-seats --account acme";
    Alarm::new("parked", format!("account acme: {count} jobs are parked"), "buy a licence", command)
        .of_account("acme")
        .about("no-seats")
}

fn clock_off() -> Alarm {
    Alarm::new("sweep-stale", "account acme was last swept never", "see", "adjutant sweep").of_account("acme")
}

#[tokio::test]
async fn many_parked_jobs_are_one_message_with_the_command_that_mends_them() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let notifier = world.webhook(&inbox);
    for count in [1, 2, 500] {
        notifier.look(&[parked(count)]).await;
        world.clock.advance(EVERY);
    }
    let expected = "adjutant: 1 new\nNEW  parked: account acme: 1 jobs are parked\n  to do: buy a licence\n  \
                    then: adjutant jobs retry --cause no-seats --account acme\n";
    assert_eq!(inbox.taken(), [expected]);
    assert_eq!((notifier.doing().standing, notifier.doing().sent_at), (1, Some(NOON)));
}

#[tokio::test]
async fn what_comes_within_the_time_is_one_next_message_with_what_is_over() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let notifier = world.webhook(&inbox);
    notifier.look(&[parked(1)]).await;
    assert_eq!(inbox.taken().len(), 1);
    let gone_soon = Alarm::new("clock", "off", "", "");
    for standing in [vec![clock_off()], vec![clock_off(), gone_soon], vec![clock_off()]] {
        world.clock.advance(EVERY / 4);
        notifier.look(&standing).await;
        assert_eq!(inbox.taken(), [""; 0]);
    }
    world.clock.advance(EVERY / 4);
    notifier.look(&[clock_off()]).await;
    let taken = inbox.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].starts_with("adjutant: 1 new, 1 resolved\nNEW  sweep-stale: "), "{taken:?}");
    assert!(taken[0].contains("\nRESOLVED  parked: it was: account acme: 1 jobs are parked\n"), "{taken:?}");
    assert!(!taken[0].contains("clock"), "it came and went: {taken:?}");
}

#[tokio::test]
async fn after_a_restart_nothing_is_told_twice_and_what_ended_meanwhile_is() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let secret = Alarm::new("clock", "off", "", "");
    world.webhook(&inbox).look(&[parked(3), clock_off(), secret.clone()]).await;
    assert_eq!(inbox.taken().len(), 1);
    for _ in 0..3 {
        world.clock.advance(EVERY);
        world.webhook(&inbox).look(&[parked(4), clock_off(), secret.clone()]).await;
    }
    assert_eq!(inbox.taken(), [""; 0]);
    world.clock.advance(EVERY);
    world.webhook(&inbox).look(&[clock_off()]).await;
    let taken = inbox.taken();
    assert!(taken[0].contains("1 resolved\nRESOLVED  parked: "), "the clock may still be off: {taken:?}");
    // Who wants to hear of less hears nothing of the rest, not even that it is over.
    world.clock.advance(Duration::from_secs(24 * 3600));
    let fewer = world.notifier(webhook(&inbox.url, Format::Plain), &["parked"]);
    fewer.look(&[]).await;
    assert_eq!((inbox.taken(), fewer.doing().standing), (Vec::new(), 0));
}

#[tokio::test]
async fn a_notifier_that_fails_waits_longer_and_longer_is_an_alarm_and_tells_all_in_the_end() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let notifier = world.webhook(&inbox);
    inbox.answers(500);
    notifier.look(&[parked(1)]).await;
    assert_eq!((inbox.taken().len(), notifier.failing_alarm()), (1, None), "one failure is noise");
    let mut tries = Vec::new();
    for second in (0..4 * 3600).step_by(10) {
        world.clock.set(NOON.plus(Duration::from_secs(second)));
        notifier.look(&[parked(1), clock_off()].map(|alarm| alarm)).await;
        tries.extend(inbox.taken().iter().map(|_| second));
    }
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((6..14).contains(&tries.len()) && waits.iter().all(|wait| (30..=3610).contains(wait)), "{tries:?}");
    assert!(waits.last() > waits.first(), "{waits:?}");
    let alarm = notifier.failing_alarm().unwrap();
    assert!(alarm.what.contains("it answered 500") && !alarm.what.contains("secret"), "{alarm:?}");
    assert_eq!((alarm.command.as_str(), alarm.since), ("adjutant notify test ops", Some(NOON.to_string())));
    inbox.answers(200);
    world.clock.advance(RETRY_MAX);
    notifier.look(&[parked(1), clock_off(), notifier.failing_alarm().unwrap()]).await;
    let taken = inbox.taken();
    assert!(taken.len() == 1 && taken[0].starts_with("adjutant: 2 new\n"), "not of itself: {taken:?}");
    assert_eq!(notifier.failing_alarm(), None);
}

#[tokio::test]
async fn what_ended_while_nobody_could_be_told_is_no_failure_any_more() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let notifier = world.webhook(&inbox);
    inbox.answers(404);
    for _ in 0..2 {
        notifier.look(&[parked(1)]).await;
        world.clock.advance(RETRY_MAX);
    }
    assert!(notifier.failing_alarm().is_some());
    notifier.look(&[]).await;
    assert_eq!((notifier.failing_alarm(), inbox.taken().len()), (None, 2));
}

#[derive(Debug)]
struct Standing(Vec<Alarm>);

#[async_trait]
impl Watched for Standing {
    async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn one_that_hangs_holds_up_no_other_and_ends_with_the_service() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = webhook(&format!("http://{}/", silent.local_addr().unwrap()), Format::Plain);
    let both = [notify("hanging", hanging, &[]), notify("ops", webhook(&inbox.url, Format::Plain), &[])];
    let notifiers = Notifiers::new(&both, world.parts());
    let running = tokio::spawn(async move { notifiers.run(Arc::new(Standing(vec![parked(1)]))).await });
    // The one was asked, and answers nothing.
    let ticking = async {
        loop {
            world.clock.advance(LOOK_EVERY);
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::select! { asked = silent.accept() => asked.unwrap(), () = ticking => unreachable!() };
    while lock(&inbox.bodies).is_empty() {
        world.clock.advance(LOOK_EVERY);
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // Nobody sends on a connection of a notifier that ended.
    drop(asked);
}

/// A mail as it came over the wire: who it is from and for, how it was logged in for, and the text.
#[derive(Debug, Default)]
struct Mail {
    envelope: Vec<String>,
    login: Option<String>,
    data: String,
}

/// Takes mails; one that refuses recipients refuses all.
async fn smtp(refuses: bool) -> (SocketAddr, Arc<Mutex<Vec<Mail>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, mails) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Mail>>>::default());
    let taken = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Some(mail) = converse(stream, refuses).await {
                lock(&taken).push(mail);
            }
        }
    });
    (address, mails)
}

async fn converse(stream: TcpStream, refuses: bool) -> Option<Mail> {
    let (read, mut write) = stream.into_split();
    let (mut lines, mut mail, mut in_data, mut done) = (BufReader::new(read).lines(), Mail::default(), false, false);
    write.write_all(b"220 here\r\n").await.ok()?;
    while let Ok(Some(line)) = lines.next_line().await {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            _ if in_data && line == "." => {
                (in_data, done) = (false, true);
                "250 2.0.0 taken as 42"
            }
            _ if in_data => {
                mail.data.push_str(&line);
                mail.data.push('\n');
                continue;
            }
            "EHLO" => "250-here\r\n250 AUTH PLAIN",
            "AUTH" => {
                mail.login = Some(line.clone());
                "235 welcome"
            }
            "RCPT" if refuses => "550 5.1.1 nobody <!channel> here",
            "MAIL" | "RCPT" => {
                mail.envelope.push(line.clone());
                "250 good"
            }
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 good",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    done.then_some(mail)
}

fn email(to: SocketAddr) -> To {
    let login = Some(("adjutant".to_owned(), "hunter2-hunter2".to_owned().into()));
    let (from, both) = (mailbox("adjutant@example.com").unwrap(), ["ops@example.com", "head@example.com"]);
    let to_all = both.iter().filter_map(|one| mailbox(one)).collect();
    To::Email(Email { host: to.ip().to_string(), port: to.port(), tls: Tls::None, login, from, to: to_all })
}

#[tokio::test]
async fn a_mail_has_a_subject_without_names_and_a_text_that_is_only_read() {
    let (world, (address, mails)) = (World::new(), smtp(false).await);
    let notifier = world.notifier(email(address), &[]);
    let name = "group Maths\r\n.\r\nMAIL FROM:<eve@example.com>\r\nSubject: you won\r\n\r\n<b>käse</b>";
    notifier.look(&[Alarm::new("group-unknown", name, "mend it", "adjutant sweep")]).await;
    assert_eq!(notifier.doing().failing, None);
    while lock(&mails).is_empty() {
        tokio::task::yield_now().await;
    }
    let Mail { envelope, login, data } = lock(&mails).remove(0);
    let all = ["MAIL FROM:<adjutant@example.com>", "RCPT TO:<ops@example.com>", "RCPT TO:<head@example.com>"];
    assert!(
        envelope.iter().zip(all).all(|(had, wanted)| had.starts_with(wanted)) && envelope.len() == 3,
        "{envelope:?}"
    );
    assert!(login.unwrap().starts_with("AUTH PLAIN "));
    let (head, body) = data.split_once("\n\n").unwrap();
    assert_eq!(
        head.lines().filter(|line| line.starts_with("Subject: ")).collect::<Vec<_>>(),
        ["Subject: adjutant: 1 new"]
    );
    assert!(
        head.contains("To: ops@example.com, head@example.com") && head.contains("Auto-Submitted: auto-generated"),
        "{head}"
    );
    assert!(head.contains("Date: Fri, 20 Nov 2026 12:00:00 +0000"), "{head}");
    assert!(head.contains("Content-Type: text/plain; charset=utf-8"), "{head}");
    assert!(!head.contains("you won") && body.lines().all(|line| line != "."), "{data}");
    assert!(body.contains("<b>k=C3=A4se</b>"), "quoted, and never HTML: {body}");
}

#[tokio::test]
async fn a_mail_server_that_refuses_is_a_failure_that_quotes_nobody() {
    let (world, (address, mails)) = (World::new(), smtp(true).await);
    let notifier = world.notifier(email(address), &[]);
    notifier.look(&[parked(1)]).await;
    let failing = notifier.doing().failing.unwrap();
    assert_eq!(failing.why, format!("{address} answered 550"));
    let error = notifier.notify().test(NOON).await.unwrap_err();
    assert!(
        error.to_string().contains("nobody <!channel> here") && !format!("{error:?}").contains("hunter2"),
        "{error}"
    );
    assert!(lock(&mails).is_empty());
    assert!(!format!("{notifier:?}").contains("hunter2"), "its password is told by no debug output");
}

#[tokio::test]
async fn a_test_goes_out_at_once_and_says_what_came_back() {
    let inbox = Inbox::open().await;
    let (world, url) = (World::new(), inbox.url.clone());
    let test = |format| {
        let notifier = world.notifier(webhook(&url, format), &[]);
        async move { notifier.notify().test(NOON).await }
    };
    assert_eq!(test(Format::Slack).await.unwrap(), "200: the-url-is-a-secret");
    assert!(inbox.taken()[0].starts_with("{\"") && test(Format::Teams).await.is_ok());
    assert!(inbox.taken()[0].contains("This is a test of [[notify]] ops"));
    inbox.answers(403);
    assert_eq!(test(Format::Plain).await.unwrap_err().to_string(), "it answered 403: the-url-is-a-secret");
}

#[tokio::test]
async fn a_notifier_that_a_reload_changes_or_adds_is_told_by_what_it_is_now_and_one_that_stays_goes_on() {
    let (world, old, new) = (World::new(), Inbox::open().await, Inbox::open().await);
    let of = |name, inbox: &Inbox| notify(name, webhook(&inbox.url, Format::Plain), &[]);
    let notifiers = Arc::new(Notifiers::new(&[of("stays", &old), of("moves", &old)], world.parts()));
    let stays = Arc::clone(&notifiers.all()[0]);
    let runs = Arc::clone(&notifiers);
    let running = tokio::spawn(async move { runs.run(Arc::new(Standing(vec![parked(1)]))).await });
    let came = async |inbox: &Inbox, count: usize| {
        while lock(&inbox.bodies).len() < count {
            world.clock.advance(LOOK_EVERY);
            tokio::task::yield_now().await;
        }
    };
    came(&old, 2).await;
    notifiers.replace(&[of("stays", &old), of("moves", &new), of("comes", &new)]);
    assert!(Arc::ptr_eq(&stays, &notifiers.all()[0]), "it is the same, with what it knows");
    // What one of this name told is known to the next; the one that came has told nothing.
    came(&new, 1).await;
    assert_eq!((old.taken().len(), new.taken().len()), (2, 1));
    notifiers.replace(&[]);
    assert!(notifiers.all().is_empty());
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

/// A rule's message, with these words.
fn of_rule(severity: Option<crate::alarm::Severity>, text: &str) -> Message {
    let event = crate::work::Message {
        id: "msg_1_2".to_owned(),
        event: "meeting.deleted".to_owned(),
        at: NOON,
        account: "acme".parse().unwrap(),
        app: "main".parse().unwrap(),
        rule: "tell".parse().unwrap(),
        severity,
        delivery: Some("dlv_1".parse().unwrap()),
        whole: serde_json::json!({ "payload": { "object": { "topic": "x\r\nBcc: eve@example.com\n<!here>" } } }),
        about: serde_json::Map::new(),
        record: None,
    };
    Message::of_rule(&event, &crate::feed::Body::in_words(&event, Some(text)).unwrap())
}

const TEXT: &str = "{\"a\": {{ event.payload.object.topic }}}\nsecond line";

#[tokio::test]
async fn a_rules_mail_says_in_its_subject_how_much_it_matters_and_no_name() {
    let (world, (address, mails)) = (World::new(), smtp(false).await);
    let notifier = world.notifier(email(address), &["clock"]);
    let told = notifier.tell_for_rule("msg_1_2", &of_rule(Some(crate::alarm::Severity::Critical), TEXT)).await;
    assert_eq!(told, Told::Sent("250".to_owned()), "only is about alarms");
    while lock(&mails).is_empty() {
        tokio::task::yield_now().await;
    }
    let data = lock(&mails).remove(0).data;
    let (head, body) = data.split_once("\n\n").unwrap();
    let subjects: Vec<&str> = head.lines().filter(|line| line.starts_with("Subject: ")).collect();
    assert_eq!(subjects, ["Subject: critical: meeting.deleted (adjutant, rule tell)"]);
    assert!(!head.contains("eve@"), "{head}");
    assert_eq!(body, "critical: {\"a\": x Bcc: eve@example.com <!here>}\nsecond line\n\n");
}

#[tokio::test]
async fn a_rules_message_steers_neither_slack_nor_teams() {
    let (world, inbox) = (World::new(), Inbox::open().await);
    for format in [Format::Slack, Format::Teams] {
        let notifier = world.notifier(webhook(&inbox.url, format), &[]);
        assert_eq!(notifier.tell_for_rule("msg_1_2", &of_rule(None, TEXT)).await, Told::Sent("200".to_owned()));
    }
    let taken = inbox.taken();
    let slack: serde_json::Value = serde_json::from_str(&taken[0]).unwrap();
    assert_eq!(slack["text"], "{\"a\": x Bcc: eve@example.com &lt;!here&gt;}\nsecond line\n");
    let teams: serde_json::Value = serde_json::from_str(&taken[1]).unwrap();
    let lines = teams["attachments"][0]["content"]["body"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[1]["inlines"][0]["text"]), (2, &"second line".into()));
}

#[tokio::test]
async fn a_mail_server_that_refuses_for_good_says_so_and_uses_up_no_message_of_the_hour() {
    let (world, (address, _)) = (World::new(), smtp(true).await);
    let notifier = world.notifier(email(address), &[]);
    for _ in 0..40 {
        let Told::Failed(error) = notifier.tell_for_rule("msg_1_2", &of_rule(None, TEXT)).await else { panic!("sent") };
        assert!(error.is_for_good && error.what == format!("{address} answered 550"), "{error:?}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let Told::Failed(error) = world.notifier(email(closed), &[]).tell_for_rule("a", &of_rule(None, TEXT)).await else {
        panic!("sent")
    };
    assert!(!error.is_for_good && error.what.contains("cannot be talked to"), "{error:?}");
}
