//! Users over REST.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::user::{CreationType, NewUser, User, UserStatus};
use crate::sim::world::Act;

use super::page::Page;

/// \[D U]
const EMAIL_CHARS_MAX: usize = 128;

impl User {
    /// One row of the list. Pending users have no id there \[D].
    fn row(&self) -> Object {
        let pending = self.status == UserStatus::Pending;
        Object::new()
            .put_some("id", (!pending).then_some(&self.id))
            .put("first_name", &self.first_name)
            .put("last_name", &self.last_name)
            .put("display_name", &self.display_name)
            .put("email", &self.email)
            .put("type", self.kind)
            .put("pmi", self.pmi)
            .put("timezone", "")
            .put("verified", u8::from(!pending))
            .put("dept", self.fields.get("dept").cloned().unwrap_or(json!("")))
            .put("created_at", rfc3339(self.created_at))
            .put("user_created_at", rfc3339(self.created_at))
            .put("status", self.status.as_str())
            .put("role_id", &self.role_id)
            .put_some("group_ids", (!self.groups.is_empty()).then_some(&self.groups))
    }

    fn role_name(&self) -> &'static str {
        match self.role_id.as_str() {
            "0" => "Owner",
            "1" => "Admin",
            _ => "Member",
        }
    }

    fn details(&self, account: Option<&String>, now: Timestamp) -> Object {
        // A pending user's created_at is the time of the call [D].
        let created = if self.status == UserStatus::Pending { now } else { self.created_at };
        // 100 Zoom mail, 101 single sign-on, 99 API user [D].
        let login = match self.creation {
            CreationType::Create | CreationType::AutoCreate => 100,
            CreationType::SsoCreate => 101,
            CreationType::CustCreate => 99,
        };
        let mut object = Object::new()
            .put("id", &self.id)
            .put("first_name", &self.first_name)
            .put("last_name", &self.last_name)
            .put("display_name", &self.display_name)
            .put("email", &self.email)
            .put("type", self.kind)
            .put("role_name", self.role_name())
            .put("role_id", &self.role_id)
            .put_some("group_ids", (!self.groups.is_empty()).then_some(&self.groups))
            .put("pmi", self.pmi)
            .put("use_pmi", false)
            .put("created_at", rfc3339(created))
            .put("user_created_at", rfc3339(created))
            .put("login_types", [login])
            .put_some("account_id", account)
            .put("status", self.status.as_str());
        for (name, value) in &self.fields {
            object = object.put(name, value);
        }
        object
    }
}

impl Act<'_> {
    /// A user of this account by id or email, or 404/1001 \[D U]; whose invitation has expired is refused with 1120 \[E22].
    pub(super) fn find(&self, key: &str) -> Result<&User, Refusal> {
        let user = self.account.users.find(key).ok_or_else(|| Refusal::NoSuchUser(key.to_owned()))?;
        if user.invitation_is_over(self.now) { Err(Refusal::NoInvite) } else { Ok(user) }
    }

    /// One status at a time, active where none is given \[D]; oldest first.
    pub(super) fn rest_list_users(&self, request: &Request) -> Result<Answer, Refusal> {
        let status = match request.param("status").as_deref() {
            None | Some("active") => UserStatus::Active,
            Some("inactive") => UserStatus::Inactive,
            Some("pending") => UserStatus::Pending,
            Some(_) => return Err(invalid("status")),
        };
        let name = format!("users {}", status.as_str());
        let page = Page::of(request, name, self.account.quirks.page_size_max, self.now)?;
        let users = &self.account.users;
        let (total, rows) = (users.count(status), users.after(status, page.after));
        Ok(page.answer("users", total, rows.map(|(place, user)| (place, user.row())), self.now))
    }

    pub(super) fn rest_get_user(&self, key: &str) -> Result<Answer, Refusal> {
        let user = self.find(key)?;
        if key.contains('@') && user.status == UserStatus::Pending && !self.account.quirks.pending_found_by_email {
            return Err(Refusal::NoSuchUser(key.to_owned())); // [F 98314]
        }
        let hidden = user.joins && self.account.quirks.joining_hides_account;
        Ok(Answer::object(200, user.details((!hidden).then_some(&self.account.id), self.now)))
    }

    /// Invitations count against the account's number a day, and only where they are sent \[I]. Whoever is pending after the
    /// invitation expired is invited again \[I]. It has no features and no plans of users.
    pub(super) fn rest_create_user(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let new = new_user(&request.object()?)?;
        self.offered(new.creation)?;
        let (now, invites) = (self.now, new.creation == CreationType::Create);
        let again = self.account.users.find(&new.email).filter(|user| invites && user.invitation_is_over(now));
        let again = again.map(|user| user.id.clone());
        if again.is_none() && self.account.users.find(&new.email).is_some() {
            return Err(Refusal::EmailTaken(new.email));
        }
        if invites && self.account.invites.used(now) >= self.account.plan.invites_per_day() {
            return Err(Refusal::Invites);
        }
        if again.is_none() && new.kind == 2 {
            self.need_seat()?;
        }
        let email = new.email.clone();
        let id = if let Some(id) = again {
            let until = now.plus(self.account.quirks.invitation_lives);
            self.account.users.edit(&id, |user| user.invited_until = Some(until));
            id
        } else {
            self.create_user(new)?
        };
        if invites {
            self.account.invites.take(now);
            if let Some(after) = self.account.quirks.accepted_after {
                self.later.accept(now.plus(after), &self.account.id, &email);
            }
        }
        let user = self.account.users.find(&id).ok_or(Refusal::NoSuchUser(id))?;
        let body = Object::new()
            .put("id", &user.id)
            .put("email", &user.email)
            .put("first_name", &user.first_name)
            .put("last_name", &user.last_name)
            .put("type", user.kind);
        Ok(Answer::object(201, body))
    }

    /// Whether the account has what an action needs \[D U].
    fn offered(&self, creation: CreationType) -> Result<(), Refusal> {
        let offers = &self.account.offers;
        match creation {
            CreationType::AutoCreate if !offers.managed_domain => Err(Refusal::NoManagedDomain),
            CreationType::CustCreate if !offers.custom_users => Err(Refusal::NoCustomUsers),
            CreationType::SsoCreate if !offers.single_sign_on => Err(Refusal::NoSingleSignOn),
            _ => Ok(()),
        }
    }

    /// Of a pending user only the group can be set \[D U: `group_id`]; it counts once the user is there.
    pub(super) fn rest_update_user(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let mut fields = request.object()?;
        let user = self.find(key)?;
        let known = |kind: &Value| matches!(kind.as_i64(), Some(1..=4)); // [D]; 3 is On-prem of old.
        if fields.get("type").is_some_and(|kind| !known(kind)) {
            return Err(invalid("type"));
        }
        if user.status == UserStatus::Pending {
            let id = user.id.clone();
            if let Some(group) = fields.get("group_id").and_then(Value::as_str) {
                self.account.groups.find(group)?;
                self.account.users.edit(&id, |user| user.groups.insert(group.to_owned()));
            }
            return Ok(Answer::empty(204)); // Success, and nothing else is done [C SailPoint].
        }
        let id = user.id.clone();
        if !user.is_licensed() && fields.get("type").and_then(Value::as_i64) == Some(2) {
            self.need_seat()?;
        }
        fields.remove("group_id"); // For pending users only [D U].
        self.update_user(&id, &fields)?;
        Ok(Answer::empty(204))
    }

    /// Whether a licence is left to give.
    fn need_seat(&self) -> Result<(), Refusal> {
        let full = self.account.seats.is_some_and(|seats| self.account.users.licensed() >= seats);
        if full { Err(Refusal::NoSeats(self.account.quirks.no_seats_code)) } else { Ok(()) }
    }

    /// Out of the account, or gone for good \[D U]. Meetings go to `transfer_email` where `transfer_meeting` says so; nothing else
    /// is there to transfer. Whom they cannot go to, and that meetings need somebody, is \[I].
    pub(super) fn rest_delete_user(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let id = self.find(key)?.id.clone();
        let permanently = match request.param("action").as_deref() {
            None | Some("disassociate") => false,
            Some("delete") => true,
            Some(_) => return Err(invalid("action")),
        };
        let meetings = request.param("transfer_meeting").is_some_and(|flag| flag == "true");
        match request.param("transfer_email").filter(|email| !email.is_empty()) {
            Some(email) => {
                let heir = self.find(&email)?;
                if !heir.is_active() || heir.id == id {
                    return Err(invalid("transfer_email"));
                }
                let heir = heir.id.clone();
                let stays = permanently && self.find(&id)?.status == UserStatus::Pending;
                if meetings && !stays {
                    self.account.meetings.transfer(&id, &heir);
                }
            }
            None if meetings => return Err(invalid("transfer_email")),
            None => {}
        }
        self.remove_user(&id, permanently)?;
        Ok(Answer::empty(204))
    }

    /// 200 and no body \[D U]. Whoever is so already stays so, and a pending user is left alone \[I].
    pub(super) fn rest_set_user_status(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let body = request.object()?;
        let (id, status) = {
            let user = self.find(key)?;
            (user.id.clone(), user.status)
        };
        match (body.get("action").and_then(Value::as_str), status) {
            (Some("activate"), UserStatus::Inactive) => self.activate(&id)?,
            (Some("deactivate"), UserStatus::Active) => self.deactivate(&id)?,
            // The clock is that of contact centres.
            (Some("activate" | "deactivate" | "clock_in" | "clock_out"), _) => {}
            _ => return Err(invalid("action")),
        }
        Ok(Answer::empty(200))
    }
}

/// The user that a POST asks for: lengths and types are those of \[D U].
fn new_user(body: &Map<String, Value>) -> Result<NewUser, Refusal> {
    let creation = match body.get("action").and_then(Value::as_str) {
        Some("create") => CreationType::Create,
        Some("autoCreate") => CreationType::AutoCreate,
        Some("custCreate") => CreationType::CustCreate,
        Some("ssoCreate") => CreationType::SsoCreate,
        _ => return Err(invalid("action")),
    };
    let info = body.get("user_info").and_then(Value::as_object).ok_or_else(|| invalid("user_info"))?;
    let text = |field: &'static str, chars_max: usize| match info.get(field).map(Value::as_str) {
        None => Ok(None),
        Some(Some(text)) if text.chars().count() <= chars_max => Ok(Some(text.to_owned())),
        Some(_) => Err(invalid(field)),
    };
    let email = text("email", EMAIL_CHARS_MAX)?
        .filter(|email| email.contains('@'))
        .ok_or_else(|| invalid("email"))?
        .to_lowercase();
    let known = |kind: &i64| matches!(kind, 1 | 2 | 4) || (*kind == 99 && creation == CreationType::SsoCreate);
    let kind = info.get("type").and_then(Value::as_i64).filter(known).ok_or_else(|| invalid("type"))?;
    let password = text("password", 32)?;
    if creation == CreationType::AutoCreate && password.is_none_or(|password| password.chars().count() < 8) {
        return Err(invalid("password"));
    }
    Ok(NewUser {
        email,
        first_name: text("first_name", 64)?.unwrap_or_default(),
        last_name: text("last_name", 64)?.unwrap_or_default(),
        display_name: text("display_name", 128)?,
        kind,
        creation,
    })
}

fn invalid(field: &'static str) -> Refusal {
    Refusal::Validation { field, message: "Invalid field.".to_owned() }
}
