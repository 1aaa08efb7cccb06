//! `adjutant trigger`: a delivery as Zoom would send it, signed with the app's own secret and posted to the running service.
//!
//! What it says need not have happened at Zoom. That is safe: an event only names a subject, and the worker reads what is
//! true at Zoom before it changes anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::out::Out;
use super::remote::{client_for, reachable, unanswered};
use super::signed::Signed;
use super::{Context, Exit, Failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{App, Config};
use crate::sim;

const EVENTS: [&str; 26] = [
    "user.created",
    "user.activated",
    "user.invitation_accepted",
    "user.updated",
    "user.deactivated",
    "user.deleted",
    "user.disassociated",
    "meeting.created",
    "meeting.updated",
    "meeting.started",
    "meeting.ended",
    "meeting.deleted",
    "meeting.permanently_deleted",
    "meeting.recovered",
    "meeting.participant_jbh_waiting",
    "meeting.participant_jbh_waiting_left",
    "meeting.participant_joined_waiting_room",
    "meeting.participant_left_waiting_room",
    "meeting.participant_admitted",
    "meeting.participant_joined",
    "meeting.participant_left",
    "meeting.participant_role_changed",
    "meeting.live_streaming_started",
    "meeting.alert",
    "meeting.risk_alert",
    "endpoint.url_validation",
];

/// Email and id, as in Zoom's samples.
const OPERATOR: (&str, &str) = ("admin@example.com", "z8yCxjabcdEFGHfp8uQ");
const UUID: &str = "4444AAAiAAAAAiAiAiiAii==";

const TO_DO: &str = "start the service with `adjutant serve`, or name another --url";
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// What happened
    #[arg(value_parser = EVENTS)]
    event: String,
    /// The user, by id or email; for meetings, the host
    #[arg(long, default_value = "jchill@example.com")]
    user: String,
    /// The meeting's number
    #[arg(long, default_value_t = 1_234_567_890)]
    meeting: u64,
    /// The name of the participant, where the event is about one
    #[arg(long, default_value = "Jill Chill")]
    participant: String,
    /// The participant's email; none if not given, as Zoom has it for most people from outside
    #[arg(long, default_value = "", hide_default_value = true)]
    participant_email: String,
    /// The app that Zoom would send it to; the first of the configuration if not given
    #[arg(long)]
    app: Option<String>,
    /// The account that it happened in; the app's first if not given. Of a general app it has to be
    #[arg(long)]
    account: Option<String>,
    /// Where to post it; the running service if not given
    #[arg(long)]
    url: Option<String>,
    /// A file with the webhook secret, in place of the configuration's first
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How often to send the same request, as Zoom does when it is in doubt
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    times: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, serde::Serialize)]
struct Answered {
    event: String,
    url: String,
    request_id: String,
    status: u16,
    body: String,
}

pub(super) async fn run(context: &Context, asked: Asked, out: &mut Out) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = app(&config, asked.app.as_deref())?;
    let account = asked.account.clone().or_else(|| app.accounts.first().map(|account| account.id.to_string()));
    if account.is_none() && asked.event != "endpoint.url_validation" {
        let why = "a general app, and an event of it names the account that it happened in: say which with --account";
        let text = format!("app {} is {why}, as `adjutant accounts list` shows it", app.name);
        return Err(Failure::new(Exit::Usage, text));
    }
    let url = asked
        .url
        .clone()
        .unwrap_or_else(|| format!("http://{}/webhooks/{}", reachable(config.server.listen), app.name));
    let secret = secret(app, asked.secret_file.as_deref())?;
    let signed = Signed::now(&secret, body(&asked, &account.unwrap_or_default()));
    let client = client_for(&url, PATIENCE)?;
    let mut exit = Exit::Good;
    for _ in 0..asked.times {
        let silent = |error| unanswered("nobody answers", &url, &error, TO_DO);
        let answer = signed.to(&url, &client).send().await.map_err(silent)?;
        let status = answer.status();
        let body = answer.text().await.map_err(silent)?;
        if !status.is_success() {
            exit = Exit::Failed;
        }
        let (event, url, request_id) = (asked.event.clone(), url.clone(), signed.request_id.clone());
        tell(&Answered { event, url, request_id, status: status.as_u16(), body }, asked.json, out)?;
    }
    if exit == Exit::Good && !asked.json && asked.event != "endpoint.url_validation" {
        out.line("next: adjutant deliveries list, adjutant jobs list, adjutant audit tail --follow")?;
    }
    Ok(exit)
}

fn tell(answered: &Answered, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return out.json_line(answered);
    }
    let Answered { event, url, request_id, status, body } = answered;
    let meaning = match status {
        200 if event == "endpoint.url_validation" => "answered",
        200 => "stored",
        401 => "refused: the signature does not fit. is the webhook secret the one of this app?",
        404 => "refused: the service has no such app. is it running with this configuration?",
        503 => {
            "refused for now: `adjutant attention` says why. while an app was never verified, a bad signature is, too"
        }
        _ => "refused",
    };
    out.line(format!("{event} → {url}: {status} {meaning} (request {request_id})"))?;
    if event == "endpoint.url_validation" && *status == 200 {
        out.line(body)?;
    }
    Ok(())
}

fn app<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c App, Failure> {
    let found = match name {
        Some(name) => config.apps.iter().find(|app| app.name.as_str() == name),
        None => config.apps.first(),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
        let name = name.unwrap_or_default();
        Failure::new(Exit::Usage, format!("no app is named {name:?}. the configuration has {}", names.join(", ")))
    })
}

fn secret(app: &App, file: Option<&Path>) -> Result<SecretString, Failure> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let exit = if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Io };
            Failure::new(exit, format!("cannot read {}: {error}", file.display()))
        })?;
        let first = text.lines().map(str::trim).find(|line| !line.is_empty());
        let none = || Failure::new(Exit::Usage, format!("{} holds no secret", file.display()));
        return first.map(SecretString::from).ok_or_else(none);
    }
    let none = || Failure::new(Exit::Config, format!("[[app]] {} has no webhook secret", app.name));
    app.secrets.webhook.first().cloned().ok_or_else(none)
}

/// The body, in the shape of Zoom's samples.
fn body(asked: &Asked, account: &str) -> String {
    let now = SystemClock.now();
    live(asked, account, now).unwrap_or_else(|| scheduled(asked, account, now.as_millis()).to_string())
}

/// About a meeting that runs: what the simulated Zoom would say.
fn live(asked: &Asked, account: &str, at: Timestamp) -> Option<String> {
    let event = asked.event.as_str();
    let meeting = sim::Meeting {
        id: asked.meeting,
        uuid: UUID.to_owned(),
        host_id: host(asked),
        path_user: host(asked),
        assistant_id: None,
        topic: "My Meeting".to_owned(),
        agenda: String::new(),
        kind: 2,
        started: true,
        deleted: false,
        start_time: None,
        duration: 60,
        timezone: "UTC".to_owned(),
        password: String::new(),
        settings: Map::new(),
        pre_schedule: false,
        recurrence: None,
        created_at: at,
        creation_source: "web_portal",
    };
    let scene = sim::Scene { account, operator: OPERATOR, meeting: &meeting, at };
    if let Some(moment) = sim::Moment::ALL.into_iter().find(|moment| moment.event() == event) {
        let (name, email) = (asked.participant.clone(), asked.participant_email.clone());
        let visit = sim::Visit {
            person: sim::Person { name, email, id: String::new(), registrant_id: None },
            place: sim::Place::Inside,
            user_id: "16778240".to_owned(),
            participant_uuid: "55555AAAiAAAAAiAiAiiAii".to_owned(),
        };
        return Some(scene.of(moment, &visit));
    }
    let notice = sim::Notice::ALL.into_iter().find(|notice| notice.event() == event)?;
    Some(scene.noticed(notice))
}

fn scheduled(asked: &Asked, account: &str, at: i64) -> Value {
    let event = asked.event.as_str();
    if event == "endpoint.url_validation" {
        return json!({ "payload": { "plainToken": "qgg8vlvZRS6UYooatFL8Aw" }, "event_ts": at, "event": event });
    }
    let object = if event.starts_with("user.") { user(asked) } else { meeting(asked) };
    let mut payload = json!({
        "account_id": account, "operator": OPERATOR.0, "operator_id": OPERATOR.1, "object": object,
    });
    let more = match event {
        "user.created" => Some(("creation_type", json!("create"))),
        "user.updated" => Some(("time_stamp", json!(at))),
        "meeting.created" | "meeting.deleted" | "meeting.permanently_deleted" | "meeting.recovered" => {
            Some(("operation", json!("single")))
        }
        "meeting.updated" => Some(("scope", json!("single"))),
        _ => None,
    };
    if let (Some(payload), Some((key, value))) = (payload.as_object_mut(), more) {
        payload.insert(key.to_owned(), value);
    }
    // Nobody operates these.
    if let (Some(payload), true) =
        (payload.as_object_mut(), matches!(event, "user.invitation_accepted" | "meeting.started" | "meeting.ended"))
    {
        payload.retain(|key, _| !key.starts_with("operator"));
    }
    json!({ "event": event, "event_ts": at, "payload": payload })
}

fn user(asked: &Asked) -> Value {
    let (id, email) = by_key(&asked.user);
    let mut user = json!({ "first_name": "Jill", "last_name": "Chill", "type": 2 });
    if let Some(user) = user.as_object_mut() {
        for (key, value) in [("id", id), ("email", email)] {
            if let Some(value) = value {
                user.insert(key.to_owned(), value.into());
            }
        }
    }
    user
}

fn meeting(asked: &Asked) -> Value {
    let number = asked.meeting;
    // Zoom's own habit: text in what is about a running meeting, a number elsewhere.
    let id = if matches!(asked.event.as_str(), "meeting.started" | "meeting.ended") {
        json!(number.to_string())
    } else {
        json!(number)
    };
    json!({
        "uuid": UUID, "id": id, "host_id": host(asked), "topic": "My Meeting", "type": 2,
        "duration": 60, "timezone": "UTC",
    })
}

fn host(asked: &Asked) -> String {
    by_key(&asked.user).0.unwrap_or_else(|| "x1yCzABCDEfg23HiJKl4mN".to_owned())
}

/// An id or an email, whichever it is.
fn by_key(user: &str) -> (Option<String>, Option<String>) {
    if user.contains('@') { (None, Some(user.to_owned())) } else { (Some(user.to_owned()), None) }
}
