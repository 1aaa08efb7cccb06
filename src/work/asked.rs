//! What the work asks: a rule's condition, of what is known of the subject, its host and the event. Pure.

use serde_json::{Value, json};

use super::around::Around;
use super::judge::{Judged, Need, Picture, Verdict};
use super::told::Person;
use super::user::{put_groups, put_settings};
use crate::ids::UserId;
use crate::job::WaitReason;
use crate::rules::{Names, Rule, SubjectKind, lower_emails};
use crate::zoom::{Meeting, Object, Status, User};

/// Goes on where the rule's condition holds.
pub(super) fn conditioned(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<()> {
    let Some(asked) = rule.asked() else { return Ok(()) };
    let (facts, lacks) = facts(rule, around, picture);
    if let Some(lacks) = lacks {
        return Err(lacks);
    }
    match asked.holds(&facts) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Verdict::NotApplicable("the rule's condition does not hold".to_owned())),
        Err(error) => Err(Verdict::Unanswered(error.to_string())),
    }
}

/// Of a rule that sends: whether it does, and all is known that it shows.
pub(super) fn sends(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Verdict> {
    conditioned(rule, around, picture)?;
    let shows = |fact: &str| rule.send.as_ref().is_some_and(|send| send.names.contains(fact));
    match () {
        () if (shows("meeting") || shows("host")) && picture.meeting.is_none() => Err(Verdict::Needs(Need::Meeting)),
        () if shows("host") && picture.host.is_none() && !picture.has_no_host => Err(Verdict::Needs(Need::Host)),
        () if shows("user") && picture.user.is_none() => Err(Verdict::Needs(Need::User)),
        () => Ok(Verdict::Right),
    }
}

/// What the condition is asked of, no more of it than it names, as far as that is known; and what keeps the rest from being
/// known, the first of it.
pub(super) fn facts(rule: &Rule, around: &Around<'_>, picture: &Picture) -> (Value, Option<Verdict>) {
    let mut facts = Object::new();
    let mut lacks = None;
    let kinds: [(&str, Part); 4] = [("event", event), ("meeting", meeting), ("host", host), ("user", user)];
    for (fact, part) in kinds {
        let Some(names) = rule.asked().and_then(|asked| asked.names(fact)) else { continue };
        let mut stated = Object::new();
        match part(&mut stated, names, rule, around, picture) {
            Ok(Known::Stated) => {}
            Ok(Known::Null) => continue,
            Err(verdict) => lacks = lacks.or(Some(verdict)),
        }
        facts.insert(fact.to_owned(), stated.into());
    }
    let mut facts = Value::Object(facts);
    lower_emails(&mut facts);
    if let Value::Object(facts) = &mut facts {
        facts.insert("account".to_owned(), json!(around.account.id.as_str()));
        facts.insert("now".to_owned(), json!(around.now.to_string()));
    }
    (facts, lacks)
}

enum Known {
    Stated,
    /// Nobody says anything of it.
    Null,
}

type Part = fn(&mut Object, &Names, &Rule, &Around<'_>, &Picture) -> Judged<Known>;

fn event(into: &mut Object, names: &Names, _: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Known> {
    let pruned = || Verdict::Unanswered("the delivery's body was pruned, or is not kept any more".to_owned());
    let told = picture.event.as_ref().ok_or_else(pruned)?;
    into.extend(told.whole.as_object().map(|whole| names.pick(whole)).unwrap_or_default());
    if names.below("by_api_user").is_some() {
        let by = told.is_echo || is_ours(around, &told.operator())?;
        into.insert("by_api_user".to_owned(), by.into());
    }
    Ok(Known::Stated)
}

fn meeting(into: &mut Object, names: &Names, _: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Known> {
    let meeting = picture.meeting.as_ref().ok_or(Verdict::Needs(Need::Meeting))?;
    into.extend(names.pick(&meeting.whole));
    if names.below("by_api_user").is_some() {
        into.insert("by_api_user".to_owned(), is_api_users(around, picture, meeting)?.into());
    }
    Ok(Known::Stated)
}

fn host(into: &mut Object, names: &Names, _: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Known> {
    if picture.has_no_host {
        return Ok(Known::Null);
    }
    let need = if picture.meeting.is_some() { Need::Host } else { Need::Meeting };
    let host = picture.host.as_ref().ok_or(Verdict::Needs(need))?;
    into.extend(names.pick(&host.whole));
    put_groups(into, names, around, picture, host)?;
    Ok(Known::Stated)
}

fn user(into: &mut Object, names: &Names, rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Known> {
    let user = picture.user.as_ref().ok_or(Verdict::Needs(Need::User))?;
    into.extend(names.pick(&user.whole));
    // An event does not state the groups of a user that is gone.
    if !picture.is_told {
        put_groups(into, names, around, picture, user)?;
    }
    let asks = ["settings", "settings_unchecked"].into_iter().any(|name| names.below(name).is_some());
    if asks && let Some(settings) = settings_of(user, rule, picture)? {
        put_settings(into, names, settings);
    }
    Ok(Known::Stated)
}

/// Those of a pending user cannot be read, nor those of one that is gone.
fn settings_of<'p>(user: &User, rule: &Rule, picture: &'p Picture) -> Judged<Option<&'p Object>> {
    let is_waited_for = rule.subject != SubjectKind::Event;
    match &picture.settings {
        Some(settings) => Ok(Some(settings)),
        None if picture.is_told => Ok(None),
        None if user.status != Status::Pending => Err(Verdict::Needs(Need::Settings)),
        None if is_waited_for => Err(Verdict::Waits(WaitReason::UserPending)),
        None => Ok(None),
    }
}

/// Whether an API user made the meeting: hosts it, scheduled it for its host (`assistant_id`, \[D]), or was the operator of the
/// event of its making. Where nothing says so, none did.
fn is_api_users(around: &Around<'_>, picture: &Picture, meeting: &Meeting) -> Judged<bool> {
    let scheduler = meeting.whole.get("assistant_id").and_then(Value::as_str).and_then(|id| UserId::parse(id).ok());
    let known = [(meeting.host_id.clone(), meeting.host_email.clone()), (scheduler, None)];
    for person in &known {
        if is_api_user(around, person)? {
            return Ok(true);
        }
    }
    let past = picture.past.as_ref().ok_or(Verdict::Needs(Need::Past))?;
    past.made_by.as_ref().map_or(Ok(false), |operator| is_ours(around, operator))
}

/// Whether an operator is one of the account's API users, or whom Zoom names for the app.
fn is_ours(around: &Around<'_>, operator: &Person) -> Judged<bool> {
    let (id, email) = operator;
    let is_app = around.account.acts_as.iter().any(|key| key.is(id.as_ref(), email.as_ref()));
    if is_app { Ok(true) } else { is_api_user(around, operator) }
}

/// Whether that is one of the account's API users. One that is configured by what is not known of the person is read first.
fn is_api_user(around: &Around<'_>, (id, email): &Person) -> Judged<bool> {
    use crate::account::UserKey;
    if around.api_user(id.as_ref(), email.as_ref()).is_some() {
        return Ok(true);
    }
    let is_open = |key: &&UserKey| match key {
        UserKey::Id(_) => id.is_none() && email.is_some(),
        UserKey::Email(_) => email.is_none() && id.is_some(),
    };
    let unread = around.account.api_users.iter().filter(is_open).find(|key| !around.known.contains_key(key));
    unread.map_or(Ok(false), |key| Err(Verdict::Needs(Need::ApiUser(key.clone()))))
}
