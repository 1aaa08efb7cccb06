//! One case of `rules test`: what is given, and what each rule should come to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::{Account, UserKey};
use crate::clock::Timestamp;
use crate::event::signature::{Secret, Stamp, Window};
use crate::event::{Event, wire};
use crate::feed::Body;
use crate::ids::{DeliveryId, Email, GroupId, MeetingId, MeetingUuid, UserId};
use crate::job::Effect;
use crate::rules::{self, Documented, OnEvent, Rule, Step, SubjectKind, Topic, without_secrets};
use crate::sim::sign;
use crate::work::{ApiUser, Around, Message, Need, Past, Picture, Told, Verdict, in_words, judge};
use crate::zoom::{Assistant, Group, Meeting, Object, User};

/// The moment at which a case without `now_secs` is judged: 2026-01-01.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
/// A case is no delivery.
const DELIVERY: DeliveryId = DeliveryId::from_number(0);
/// What becomes of an event that is one of many: its record depends on the others.
const COLLECTS: &str = "collects: a record of the run";
/// Rounds of reading: each reads another thing.
const READS_MAX: usize = 64;
/// Cases are signed for the parser, which takes nothing else.
const SECRET: &str = "a-secret-for-cases-of-rules-test";

/// A file of cases.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    #[serde(default, rename = "case")]
    pub(super) cases: Vec<Case>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// The id of the account; without it, the first of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// Seconds since 1970: what `now` is to conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) now_secs: Option<i64>,
    /// The account's, where they differ from the configuration's; all of them can be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_users: Option<Vec<String>>,
    /// The user's, by email or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assistants: Option<Vec<String>>,
    /// What each rule comes to.
    pub(super) expect: BTreeMap<String, String>,
    /// As Zoom sends it. Without one, the rules about the subject are judged as a sweep does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<Object>,
    /// As Zoom states the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Object>,
    /// As Zoom states the user's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) settings: Option<Object>,
    /// As Zoom states the meeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meeting: Option<Object>,
    /// Zoom does not know the meeting any more: `meeting` is what events told of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    /// As Zoom states the host of the meeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Object>,
    /// The account's groups: names by id. The user's are in `user.group_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<BTreeMap<String, String>>,
}

impl Case {
    /// The first field of a user or meeting that Zoom does not document, and what was probably meant: no rule would ever see
    /// it. Settings may be others than the documented ones, as in rules.
    pub(super) fn unknown(&self) -> Option<String> {
        let given = [
            ("user", &self.user, Topic::User),
            ("host", &self.host, Topic::User),
            ("meeting", &self.meeting, Topic::Meeting),
        ];
        given.into_iter().find_map(|(key, object, topic)| {
            let known = Documented::subject_of(topic);
            let unknown = |name: &String| {
                known.below(name).err().map(|help| format!("{key}.{name} is no field of Zoom's. {help}"))
            };
            object.iter().flat_map(Object::keys).find_map(unknown)
        })
    }

    /// What each rule comes to, by name. Rules that are about something else are left out.
    pub(super) fn came_to(&self, rules: &[Rule], accounts: &[Account]) -> Result<BTreeMap<String, String>, String> {
        let account = self.account(accounts)?;
        let event = self.event.as_ref().map(parsed).transpose()?;
        let asked = event.as_ref().map(|event| self.asked_by(event, &account, rules));
        let kinds = [
            (SubjectKind::User, self.user.is_some()),
            (SubjectKind::Meeting, self.meeting.is_some()),
            (SubjectKind::Event, event.is_some()),
        ];
        let mut came = BTreeMap::new();
        for rule in rules {
            let is_given = kinds.contains(&(rule.subject, true));
            let is_asked = match &asked {
                Some(asked) => asks(asked, rule),
                // As a sweep: no event, no rule about one.
                None => Ok(is_given && rule.on.is_none()),
            };
            let text = match (is_asked, rule.send.as_ref().zip(event.as_ref())) {
                (Ok(true), Some(_)) if rule.on.as_ref().is_some_and(|on| on.fold.is_some()) => COLLECTS.to_owned(),
                (Ok(true), Some((send, event))) => match self.judged(rule, &account)? {
                    Verdict::Right => self.sends(event, (rule, send), &account)?,
                    verdict => shown(&verdict),
                },
                (Ok(true), None) => shown(&self.judged(rule, &account)?),
                (Ok(false), _) if is_given => "not asked".to_owned(),
                (Ok(false), _) => continue,
                (Err(why), _) => shown(&Verdict::Unanswered(why)),
            };
            came.insert(rule.name.to_string(), text);
        }
        Ok(came)
    }

    /// What the event asks of the rules.
    fn asked_by(&self, event: &Event, account: &Account, rules: &[Rule]) -> OnEvent {
        let now = self.now_secs.map_or(NOW, Timestamp::from_secs);
        let whole = || Ok(self.event.clone().map_or(Value::Null, Value::Object));
        let mut asked = rules::on_event((DELIVERY, event), Some(&account.id), now, rules, whole);
        asked.steps.extend(rules::plan(event, rules));
        asked
    }

    /// What the rule sends of the event.
    fn sends(&self, event: &Event, (rule, send): (&Rule, &rules::SendTo), account: &Account) -> Result<String, String> {
        if rule.orphaned().is_some() {
            return Ok("sends: what Zoom says of the user's upcoming meetings".to_owned());
        }
        let mut whole = self.event.clone().map_or(Value::Null, Value::Object);
        without_secrets(&mut whole, None);
        let message = Message {
            id: "msg_0_0".to_owned(),
            event: event.name.clone(),
            at: event.at.unwrap_or_else(|| self.now_secs.map_or(NOW, Timestamp::from_secs)),
            account: account.id.clone(),
            app: account.app.clone(),
            rule: rule.name.clone(),
            severity: send.severity,
            delivery: Some(DELIVERY),
            whole,
            about: self.picture()?.about(),
            record: None,
        };
        let of = if send.is_to_people { Body::in_words } else { Body::of };
        Ok(match of(&message, send.template.as_deref()) {
            Ok(body) => format!("sends: {}", body.text),
            Err(why) => format!("parks: not-sendable, {why}"),
        })
    }

    fn account(&self, accounts: &[Account]) -> Result<Account, String> {
        let named = match &self.account {
            Some(id) => accounts.iter().find(|account| account.id.as_str() == id),
            None => accounts.first(),
        };
        let Some(account) = named else {
            let known: Vec<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
            return Err(format!("there is no such account; the configuration has {}", known.join(", ")));
        };
        let Some(api_users) = &self.api_users else { return Ok(account.clone()) };
        let parsed = api_users.iter().map(|key| key.parse::<UserKey>().map_err(|error| error.to_string()));
        Ok(Account { api_users: parsed.collect::<Result<_, _>>()?, ..account.clone() })
    }

    fn judged(&self, rule: &Rule, account: &Account) -> Result<Verdict, String> {
        let now = self.now_secs.map_or(NOW, Timestamp::from_secs);
        let mut around =
            Around { account, now, known: HashMap::new(), ids: HashMap::new(), groups: self.groups()?.map(Arc::new) };
        let picture = self.picture()?;
        for _ in 0..READS_MAX {
            match judge(rule, &around, &picture) {
                Verdict::Needs(Need::ApiUser(key)) => around.learn(granted(key)),
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Unclear("too much would have to be read".to_owned()))
    }

    fn picture(&self) -> Result<Picture, String> {
        let meeting = self.meeting.clone().map(Meeting::try_from).transpose().map_err(|error| error.to_string())?;
        let whole = self.event.clone().map(Value::Object).unwrap_or_default();
        let now = self.now_secs.map_or(NOW, Timestamp::from_secs);
        let event = self.event.as_ref().map(parsed).transpose()?;
        let event =
            event.map(|event| Told { at: event.at.unwrap_or(now), event, whole: whole.clone(), is_echo: false });
        Ok(Picture {
            past: Some(Past::of(vec![(now, whole)])),
            event,
            user: self.user.clone().map(User::from),
            assistants: self.assistants.as_ref().map(|keys| keys.iter().map(|key| assistant(key)).collect()),
            settings: self.settings.clone(),
            // An event tells of a meeting, and Zoom states none.
            gone: match &meeting {
                None => self.told("id").and_then(|id| MeetingId::parse(&id).ok()),
                Some(meeting) => Some(meeting.id).filter(|_| self.deleted),
            },
            is_told: self.deleted,
            run: self.told("uuid").and_then(|uuid| MeetingUuid::parse(&uuid).ok()),
            meeting,
            host: self.host.clone().map(User::from),
            ..Picture::default()
        })
    }

    /// What the event says of its object.
    fn told(&self, name: &str) -> Option<String> {
        let told = self.event.as_ref()?.get("payload")?.get("object")?.get(name)?;
        Some(told.as_str().map_or_else(|| told.to_string(), str::to_owned))
    }

    fn groups(&self) -> Result<Option<Vec<Group>>, String> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let group = |(id, name): (&String, &String)| {
            let id = GroupId::parse(id).map_err(|error| error.to_string())?;
            Ok(Group { id, name: name.clone(), members: None })
        };
        groups.iter().map(group).collect::<Result<_, String>>().map(Some)
    }
}

/// Whether a rule is asked, or why that cannot be said.
fn asks(asked: &OnEvent, rule: &Rule) -> Result<bool, String> {
    let of_rule = |step: &Step| matches!(step, Step::Ensure { rule: name, .. } | Step::Later { rule: name, .. } | Step::Collect { rule: name, .. } if *name == rule.name);
    match asked.unanswered.iter().find(|(name, _)| *name == rule.name) {
        Some((_, why)) => Err(why.clone()),
        None => Ok(asked.steps.iter().any(of_rule)),
    }
}

fn parsed(event: &Object) -> Result<Event, String> {
    let body = Bytes::from(Value::Object(event.clone()).to_string());
    let (secret, at) = (SECRET, NOW.as_secs());
    let signature = sign(secret, at, &body);
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("x-zm-signature", signature), ("x-zm-request-timestamp", at.to_string())] {
        headers.insert(name, value.parse().map_err(|_| "the case cannot be signed".to_owned())?);
    }
    let secrets = [Secret::new(&secret.into()).map_err(|error| error.to_string())?];
    let window = Window { past: 60, future: 60 };
    let verified = Stamp::read(&headers).and_then(|stamp| stamp.verify(body, &secrets, at, window).map(|(one, _)| one));
    let verified = verified.map_err(|error| error.to_string())?;
    wire::parse(&verified).map_err(|error| format!("the event cannot be understood: {error}"))
}

fn granted(key: UserKey) -> ApiUser {
    let (id, email) = match &key {
        UserKey::Id(id) => (Some(id.clone()), None),
        UserKey::Email(email) => (None, Some(email.clone())),
    };
    ApiUser { key, id, email, unusable: None }
}

fn assistant(key: &str) -> Assistant {
    Assistant { id: UserId::parse(key).ok(), email: Email::parse(key).ok() }
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right => Effect::ALREADY_RIGHT.to_owned(),
        Verdict::Differs(differences) => in_words(differences),
        Verdict::Reports(what) => format!("reports: {what}"),
        Verdict::Waits(reason) => format!("waits: {}", reason.code()),
        Verdict::NotApplicable(why) => format!("not applicable: {why}"),
        Verdict::Unanswered(why) => format!("unanswered: {why}"),
        Verdict::Unclear(why) => format!("unclear: {why}"),
        Verdict::Impossible(cause) => format!("parks: {}", cause.code()),
        Verdict::Needs(need) => format!("needs: {}", key_of(need)),
    }
}

/// The key of a case that gives what is needed.
const fn key_of(need: &Need) -> &'static str {
    match need {
        Need::User => "user",
        Need::Assistants => "assistants",
        Need::Settings => "settings",
        Need::Groups => "groups",
        Need::Meeting => "meeting",
        Need::Host => "host",
        Need::ApiUser(_) => "api_users",
        // Always given.
        Need::Past => "event",
    }
}

/// Whether what is expected is met: exactly, or by its first word alone, as in `waits`. `nothing` is met by whatever changes
/// nothing.
pub(super) fn meets(expected: &str, came: &str) -> bool {
    const QUIET: [&str; 5] = [Effect::ALREADY_RIGHT, "waits", "not applicable", "not asked", "reports"];
    let word = came.split_once(": ").map_or(came, |(word, _)| word);
    expected == came || (came.contains(": ") && expected == word) || (expected == "nothing" && QUIET.contains(&word))
}

/// A user or meeting with the fields that rules can see.
pub(super) fn documented(mut object: Object, topic: Topic) -> Object {
    object.retain(|name, _| Documented::subject_of(topic).below(name).is_ok());
    object
}

/// A tree without what TOML cannot say.
pub(super) fn without_nulls(map: Object) -> Object {
    fn clean(value: Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(without_nulls(map)),
            Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(clean).collect(),
            value => value,
        }
    }
    map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, clean(value))).collect::<Map<_, _>>()
}
