//! Users, judged: assistants, groups, licence, settings. Pure.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use super::around::{ApiUser, Around};
use super::asked::conditioned;
use super::judge::{Difference, EXCEPTS_ROLE, EXCEPTS_USER, Judged, Need, Picture, Verdict, not_applicable, settings};
use crate::account::{Role, UserKey};
use crate::ids::GroupId;
use crate::job::{ParkCause, WaitReason};
use crate::rules::{Condition, Grantee, Licence, Names, Rule};
use crate::zoom::{ASSISTANTS_MAX, Assistant, Edit, Group, Object, Status, User};

/// Fields of a row of the list of users that say the same there as in the user \[D]. A row need not have each.
const ROW_FIELDS: [&str; 12] = [
    "dept",
    "display_name",
    "email",
    "employee_unique_id",
    "first_name",
    "group_ids",
    "id",
    "last_name",
    "plan_united_type",
    "role_id",
    "status",
    "type",
];

/// Tells a row of the list of users from what it was, in the fields that a rule may be judged by.
pub(super) fn row_hash(user: &User) -> u64 {
    let mut hash = DefaultHasher::new();
    for field in ROW_FIELDS {
        user.whole.get(field).map(Value::to_string).hash(&mut hash);
    }
    hash.finish()
}

pub(super) fn judge(rule: &Rule, around: &Around<'_>, picture: &Picture) -> Judged<Verdict> {
    let user = picture.user.as_ref().ok_or(Verdict::Needs(Need::User))?;
    applies(rule, around, picture, user)?;
    if picture.is_listed_row && rule.asked().is_some_and(|asked| !row_answers(asked, picture, user)) {
        return Err(Verdict::Needs(Need::User));
    }
    conditioned(rule, around, picture)?;
    match user.status {
        Status::Pending => return Err(Verdict::Waits(WaitReason::UserPending)),
        Status::Inactive => return Err(Verdict::Waits(WaitReason::UserInactive)),
        Status::Unknown => return Err(Verdict::Unclear("Zoom does not say whether the user is active".to_owned())),
        Status::Active => {}
    }
    let of = UserKey::of(user.id.as_ref(), user.email.as_ref().or(picture.told.as_ref()));
    let of = of.ok_or_else(|| Verdict::Unclear("Zoom states neither the user's id nor the email".to_owned()))?;
    let kinds = [licence, groups, held_settings, assistants];
    let (mut differences, mut obstacle) = (Vec::new(), None);
    for kind in kinds {
        match kind(rule, around, picture, user, &of) {
            Ok(found) => differences.extend(found),
            Err(needs @ Verdict::Needs(_)) => return Err(needs),
            Err(verdict) => obstacle = obstacle.or(Some(verdict)),
        }
    }
    // What can be done is done first; what cannot shows then.
    if differences.is_empty() { Ok(obstacle.unwrap_or(Verdict::Right)) } else { Ok(Verdict::Differs(differences)) }
}

/// Whether the rule is about this user at all: nobody excepted, and never an API user.
fn applies(rule: &Rule, around: &Around<'_>, picture: &Picture, user: &User) -> Judged<()> {
    // The event's email is the newer one where Zoom does not state any.
    let email = user.email.as_ref().or(picture.told.as_ref());
    if around.api_user(user.id.as_ref(), email).is_some() {
        return Err(an_api_user());
    }
    match email {
        Some(email) if rule.except.contains(email) => Err(not_applicable(EXCEPTS_USER)),
        None if !rule.except.is_empty() && picture.is_listed_row => Err(Verdict::Needs(Need::User)),
        None if !rule.except.is_empty() => {
            let why = "Zoom does not say the user's email, and the rule excepts some users";
            Err(Verdict::Unclear(why.to_owned()))
        }
        _ => role_applies(rule, picture, user),
    }
}

/// Who might have an excepted role is left alone until it is known.
fn role_applies(rule: &Rule, picture: &Picture, user: &User) -> Judged<()> {
    if rule.except_roles.is_empty() {
        return Ok(());
    }
    if user.role.is_none() && picture.is_listed_row {
        return Err(Verdict::Needs(Need::User));
    }
    if excepts_role(rule, user.role)? { Err(not_applicable(EXCEPTS_ROLE)) } else { Ok(()) }
}

pub(super) fn excepts_role(rule: &Rule, known: Option<Role>) -> Judged<bool> {
    let unclear = || Verdict::Unclear("Zoom does not say the user's role, and the rule excepts some roles".to_owned());
    known.map(|role| rule.except_roles.contains(&role)).ok_or_else(unclear)
}

fn an_api_user() -> Verdict {
    not_applicable("the user is an API user itself")
}

/// The user's groups, where a condition looks at them: their ids, then their names.
pub(super) fn put_groups(
    stated: &mut Object,
    names: &Names,
    around: &Around<'_>,
    picture: &Picture,
    user: &User,
) -> Judged<()> {
    if names.below("group_ids").is_some() {
        let ids = own_group_ids(picture, user)?;
        stated.insert("group_ids".to_owned(), ids.iter().map(GroupId::as_str).collect());
    }
    if names.below("groups").is_some() {
        stated.insert("groups".to_owned(), group_names(around, picture, user)?);
    }
    Ok(())
}

/// Under the names that conditions have for them.
pub(super) fn put_settings(stated: &mut Object, names: &Names, settings: &Object) {
    for name in ["settings", "settings_unchecked"] {
        if let Some(below) = names.below(name) {
            stated.insert(name.to_owned(), below.pick(settings).into());
        }
    }
}

/// Whether the row states what the condition looks at. A row of a list lacks fields, and a condition that takes a missing one
/// for null could hold for somebody whom it is to keep out.
fn row_answers(asked: &Condition, picture: &Picture, user: &User) -> bool {
    let states = |field: &str| match field {
        "groups" => picture.groups.is_some() || user.whole.contains_key("group_ids"),
        "settings" | "settings_unchecked" => true,
        field => ROW_FIELDS.contains(&field) && user.whole.contains_key(field),
    };
    asked.names("user").is_none_or(|names| names.only().is_some_and(|mut names| names.all(states)))
}

/// The names of the user's groups. One that the account does not list could be any, also one that a condition keeps out.
fn group_names(around: &Around<'_>, picture: &Picture, user: &User) -> Judged<Value> {
    let ids = group_ids(picture, user)?;
    if ids.is_empty() {
        return Ok(json!([]));
    }
    let all = around.groups.as_ref().ok_or(Verdict::Needs(Need::Groups))?;
    let named = |id: &GroupId| {
        let group = all.iter().find(|group| group.id == *id);
        let unclear = || Verdict::Unclear(format!("the user is in group {id}, which the list of groups does not name"));
        group.map(|group| Value::from(group.name.as_str())).ok_or_else(unclear)
    };
    ids.iter().map(named).collect()
}

/// The groups that the user is in.
fn group_ids(picture: &Picture, user: &User) -> Judged<Vec<GroupId>> {
    picture.groups.as_ref().map_or_else(|| own_group_ids(picture, user), |groups| Ok(groups.clone()))
}

/// The groups that the user itself states. Zoom leaves the field out for a user who is in none \[I], and so may a row.
fn own_group_ids(picture: &Picture, user: &User) -> Judged<Vec<GroupId>> {
    if user.whole.contains_key("group_ids") || picture.is_listed_row {
        return stated_group_ids(picture, user);
    }
    Ok(Vec::new())
}

/// The groups that the user's own field names, and nothing where it is not a list of ids from end to end.
fn stated_group_ids(picture: &Picture, user: &User) -> Judged<Vec<GroupId>> {
    let id = |id: &Value| match id {
        Value::String(id) => GroupId::parse(id).ok(),
        Value::Number(id) => GroupId::parse(&id.to_string()).ok(),
        _ => None,
    };
    let stated = user.whole.get("group_ids").and_then(Value::as_array);
    let ids: Option<Vec<_>> = stated.and_then(|ids| ids.iter().map(id).collect());
    let unclear = || Verdict::Unclear("Zoom does not say which groups the user is in".to_owned());
    ids.ok_or_else(|| if picture.is_listed_row { Verdict::Needs(Need::User) } else { unclear() })
}

type Found = Judged<Vec<Difference>>;

fn licence(rule: &Rule, _: &Around<'_>, picture: &Picture, user: &User, of: &UserKey) -> Found {
    let Some(wanted) = rule.ensure.licence else { return Ok(Vec::new()) };
    let Some(kind) = user.kind else {
        let unclear = || Verdict::Unclear("Zoom does not say which licence the user has".to_owned());
        return Err(if picture.is_listed_row { Verdict::Needs(Need::User) } else { unclear() });
    };
    let is_right = match wanted {
        Licence::Licensed => user.is_licensed(),
        Licence::Basic => kind == wanted.kind(),
    };
    let difference = || Difference {
        about: "type".to_owned(),
        is: kind.into(),
        wanted: wanted.to_string().into(),
        edit: Edit::SetUserKind { of: of.clone(), kind: wanted.kind() },
        takes_away: wanted == Licence::Basic && user.is_licensed(),
    };
    Ok(if is_right { Vec::new() } else { vec![difference()] })
}

fn groups(rule: &Rule, around: &Around<'_>, picture: &Picture, user: &User, of: &UserKey) -> Found {
    if rule.ensure.groups.is_empty() {
        return Ok(Vec::new());
    }
    let there = group_ids(picture, user)?;
    let (mut found, mut unknown) = (Vec::new(), None);
    for name in &rule.ensure.groups {
        if there.iter().any(|id| id.as_str() == name) {
            continue;
        }
        let all = around.groups.as_ref().ok_or(Verdict::Needs(Need::Groups))?;
        let named: Vec<&Group> = all.iter().filter(|group| group.name == *name || group.id.as_str() == name).collect();
        match named.as_slice() {
            [group] if there.contains(&group.id) => {}
            [group] => found.push(Difference {
                about: "groups".to_owned(),
                is: there.iter().map(GroupId::as_str).collect(),
                wanted: name.as_str().into(),
                edit: Edit::AddToGroup { group: group.id.clone(), who: vec![of.clone()] },
                takes_away: false,
            }),
            several => unknown = unknown.or(Some((name, several.len()))),
        }
    }
    match unknown {
        Some((name, count)) if found.is_empty() => {
            Err(Verdict::Impossible(ParkCause::GroupUnknown { name: name.clone(), is_twice: count > 1 }))
        }
        _ => Ok(found),
    }
}

fn held_settings(rule: &Rule, _: &Around<'_>, picture: &Picture, _: &User, of: &UserKey) -> Found {
    let wanted = rule.ensure.user_settings();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let is: &Object = picture.settings.as_ref().ok_or(Verdict::Needs(Need::Settings))?;
    Ok(settings(&wanted, is, |to| Edit::SetUserSettings { of: of.clone(), to }))
}

/// The assistants that are missing, as far as they fit.
fn assistants(rule: &Rule, around: &Around<'_>, picture: &Picture, user: &User, of: &UserKey) -> Found {
    if rule.ensure.assistants.is_empty() {
        return Ok(Vec::new());
    }
    if user.kind.is_none() && picture.is_listed_row {
        return Err(Verdict::Needs(Need::User));
    }
    if !user.is_licensed() {
        return Err(Verdict::Waits(WaitReason::UserUnlicensed));
    }
    let there = picture.assistants.as_ref().ok_or(Verdict::Needs(Need::Assistants))?;
    let missing = missing(rule, around, user, there)?;
    let (usable, unusable): (Vec<_>, Vec<_>) = missing.into_iter().partition(|api| api.unusable.is_none());
    let room = ASSISTANTS_MAX.saturating_sub(there.len());
    let fitting = usable.get(..room).unwrap_or(&usable);
    if fitting.is_empty() && !usable.is_empty() {
        return Err(Verdict::Impossible(ParkCause::AssistantsFull));
    }
    if fitting.is_empty() && !unusable.is_empty() {
        let each = unusable.iter().map(|api| format!("{}: {}", api.key, api.unusable.as_deref().unwrap_or_default()));
        let detail = each.collect::<Vec<_>>().join("; ");
        return Err(Verdict::Impossible(ParkCause::ApiUserUnusable { detail }));
    }
    let names: Vec<_> = there.iter().map(named).collect();
    let difference = |api: &&ApiUser| Difference {
        about: "assistants".to_owned(),
        is: names.clone().into(),
        wanted: api.key.as_str().into(),
        edit: Edit::AddAssistants { of: of.clone(), who: vec![api.key.clone()] },
        takes_away: false,
    };
    Ok(fitting.iter().map(difference).collect())
}

fn named(assistant: &Assistant) -> Value {
    let id = assistant.id.as_ref().map(ToString::to_string);
    assistant.email.as_ref().map(ToString::to_string).or(id).into()
}

/// Those whom the rule wants and who are not among these assistants, as Zoom knows them.
fn missing<'a>(rule: &Rule, around: &'a Around<'_>, of: &User, there: &[Assistant]) -> Judged<Vec<&'a ApiUser>> {
    let mut missing: Vec<&ApiUser> = Vec::new();
    for key in grantees(rule, around)? {
        // The list may name an assistant by id alone, and the configuration by email alone.
        if there.iter().any(|one| key.is(one.id.as_ref(), one.email.as_ref())) {
            continue;
        }
        let known = around.known.get(&key).ok_or_else(|| Verdict::Needs(Need::ApiUser(key.clone())))?;
        // The configuration may name it otherwise than the event.
        if known.is(of.id.as_ref(), of.email.as_ref()) {
            if around.account.api_users.contains(&key) {
                return Err(an_api_user());
            }
            continue;
        }
        let is_there = there.iter().any(|one| known.is(one.id.as_ref(), one.email.as_ref()));
        if !is_there && !missing.iter().any(|other| other.is(known.id.as_ref(), None)) {
            missing.push(known);
        }
    }
    Ok(missing)
}

/// Everybody whom the rule wants to be granted. Whom the account's configuration does not allow is never granted.
fn grantees(rule: &Rule, around: &Around<'_>) -> Judged<Vec<UserKey>> {
    let account = around.account;
    let unusable = |detail: String| Verdict::Impossible(ParkCause::ApiUserUnusable { detail });
    let mut keys = Vec::new();
    for grantee in &rule.ensure.assistants {
        match grantee {
            Grantee::ApiUser if account.api_users.is_empty() => {
                return Err(unusable("the account has no API user configured".to_owned()));
            }
            Grantee::ApiUser => keys.extend(account.api_users.iter().cloned()),
            Grantee::Named(email) if account.may_grant.contains(email) => keys.push(UserKey::Email(email.clone())),
            Grantee::Named(email) => return Err(unusable(format!("the account's may_grant does not name {email}"))),
        }
    }
    Ok(keys)
}
