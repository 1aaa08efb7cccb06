//! Users over REST.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::user::{CreationType, NewUser, User, UserStatus};
use crate::sim::world::Act;

use super::page::Page;

/// \[D U]
const EMAIL_BYTES_MAX: usize = 128;

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

    fn details(&self, account: &str, now: Timestamp) -> Object {
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
            .put("account_id", account)
            .put("status", self.status.as_str());
        for (name, value) in &self.fields {
            object = object.put(name, value);
        }
        object
    }
}

impl Act<'_> {
    /// A user of this account by id or email, or 404/1001 \[D U].
    pub(super) fn find(&self, key: &str) -> Result<&User, Refusal> {
        self.account.users.find(key).ok_or_else(|| Refusal::NoSuchUser(key.to_owned()))
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
        Ok(Answer::object(200, user.details(&self.account.id, self.now)))
    }

    /// Only what `user_info` needs to make somebody: no password, no features, no plans; and invitations are not counted.
    pub(super) fn rest_create_user(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let body = request.object()?;
        let creation = match body.get("action").and_then(Value::as_str) {
            Some("create") => CreationType::Create,
            Some("autoCreate") => CreationType::AutoCreate,
            Some("custCreate") => CreationType::CustCreate,
            Some("ssoCreate") => CreationType::SsoCreate,
            _ => return Err(invalid("action")),
        };
        let info = body.get("user_info").and_then(Value::as_object).ok_or_else(|| invalid("user_info"))?;
        let text = |key: &str| info.get(key).and_then(Value::as_str).unwrap_or_default();
        let email = Some(text("email")).filter(|email| email.contains('@') && email.len() <= EMAIL_BYTES_MAX);
        if info.get("type").and_then(Value::as_i64) == Some(2) {
            self.need_seat()?;
        }
        let kind = info.get("type").and_then(Value::as_i64).filter(|kind| matches!(kind, 1 | 2 | 4 | 99)); // [D U]
        let id = self.create_user(NewUser {
            email: email.ok_or_else(|| invalid("email"))?.to_owned(),
            first_name: text("first_name").to_owned(),
            last_name: text("last_name").to_owned(),
            kind: kind.ok_or_else(|| invalid("type"))?,
            creation,
        })?;
        let user = self.find(&id)?;
        let body = Object::new()
            .put("id", &user.id)
            .put("email", &user.email)
            .put("first_name", &user.first_name)
            .put("last_name", &user.last_name)
            .put("type", user.kind);
        Ok(Answer::object(201, body))
    }

    pub(super) fn rest_update_user(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let fields = request.object()?;
        let user = self.find(key)?;
        let known = |kind: &Value| matches!(kind.as_i64(), Some(1..=4)); // [D]; 3 is On-prem of old.
        if fields.get("type").is_some_and(|kind| !known(kind)) {
            return Err(invalid("type"));
        }
        if user.status == UserStatus::Pending {
            return Ok(Answer::empty(204)); // Success, and nothing is done [C SailPoint].
        }
        let id = user.id.clone();
        if !user.is_licensed() && fields.get("type").and_then(Value::as_i64) == Some(2) {
            self.need_seat()?;
        }
        self.update_user(&id, &fields)?;
        Ok(Answer::empty(204))
    }

    /// Whether a licence is left to give.
    fn need_seat(&self) -> Result<(), Refusal> {
        let full = self.account.seats.is_some_and(|seats| self.account.users.licensed() >= seats);
        if full { Err(Refusal::NoSeats) } else { Ok(()) }
    }

    /// Out of the account, or gone for good \[D U]. What the user leaves cannot be transferred here, so nobody may ask for it.
    pub(super) fn rest_delete_user(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let id = self.find(key)?.id.clone();
        let permanently = match request.param("action").as_deref() {
            None | Some("disassociate") => false,
            Some("delete") => true,
            Some(_) => return Err(invalid("action")),
        };
        if request.param("transfer_email").is_some() {
            return Err(invalid("transfer_email"));
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

fn invalid(field: &'static str) -> Refusal {
    Refusal::Validation { field, message: "Invalid field.".to_owned() }
}
