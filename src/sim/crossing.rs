//! Whose the things are that a request names: with one app in many accounts, a call must name nothing of another.

use serde_json::Value;

use super::call::Request;
use super::world::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Group,
    Meeting,
}

/// Users, groups and meetings in path, query and body. The user whom a POST makes is none: the address may be anywhere.
fn subjects(request: &Request) -> Vec<(Kind, String)> {
    if !request.path.starts_with("/v2/") {
        return Vec::new();
    }
    let segments = request.segments();
    let part = |place: usize| segments.get(place).map(String::as_str).unwrap_or_default();
    let kind = match part(0) {
        "users" => Kind::User,
        "groups" => Kind::Group,
        "meetings" => Kind::Meeting,
        _ => return Vec::new(),
    };
    let mut found = vec![(kind, part(1).to_owned())];
    if matches!(part(2), "assistants" | "schedulers" | "members") {
        found.push((Kind::User, part(3).to_owned()));
    }
    found.extend(request.param("transfer_email").map(|email| (Kind::User, email)));
    if segments.len() > 1
        && !request.body.is_empty()
        && let Ok(body) = serde_json::from_slice::<Value>(&request.body)
    {
        let mut user =
            |value: Option<&Value>| found.extend(value.and_then(Value::as_str).map(|key| (Kind::User, key.to_owned())));
        user(body.get("schedule_for"));
        for list in ["assistants", "members"] {
            for item in body.get(list).and_then(Value::as_array).into_iter().flatten() {
                user(item.get("id").or_else(|| item.get("email")));
            }
        }
        found.extend(body.get("group_id").and_then(Value::as_str).map(|key| (Kind::Group, key.to_owned())));
    }
    found.retain(|(_, key)| !key.is_empty() && key != "me");
    found
}

impl State {
    /// The account that owns what a request names, as seen from the account of its token: another one wins. None where it
    /// names nothing that there is.
    pub(crate) fn owner_of_subject(&self, request: &Request, from: &str) -> Option<String> {
        let mut own = None;
        for (kind, key) in subjects(request) {
            match self.owner(kind, &key, from) {
                Some(owner) if owner != from => return Some(owner.to_owned()),
                found => own = own.or(found),
            }
        }
        own.map(str::to_owned)
    }

    /// Its own account is asked first, so that all others are gone over only for what is not there.
    fn owner(&self, kind: Kind, key: &str, from: &str) -> Option<&str> {
        let number = key.parse().ok().filter(|_| kind == Kind::Meeting);
        let has = |account: &&super::account::Account| match kind {
            Kind::User => account.users.find(key).is_some(),
            Kind::Group => account.groups.find(key).is_ok(),
            Kind::Meeting => number.is_some_and(|number| account.meetings.get(number).is_some()),
        };
        if let Some(own) = self.accounts.get(from).filter(has) {
            return Some(&own.id);
        }
        if kind == Kind::User && key.contains('@') {
            return self.homes.get(&key.to_lowercase()).map(String::as_str);
        }
        self.accounts.values().find(has).map(|account| account.id.as_str())
    }
}
