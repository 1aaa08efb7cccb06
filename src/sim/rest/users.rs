//! Users over REST.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::user::{CreationType, User, UserStatus};
use crate::sim::world::{Act, WorldError};

use super::page::Page;

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
            .put("role_id", "2")
    }

    fn details(&self, account: &str, owner: &str, now: Timestamp) -> Object {
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
            .put("role_name", if self.id == owner { "Owner" } else { "Member" })
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
            Some(_) => return Err(Refusal::Validation { field: "status", message: "Invalid field.".to_owned() }),
        };
        let name = format!("users {}", status.as_str());
        let page = Page::of(request, name, self.account.quirks.page_size_max, self.now)?;
        let users = &self.account.users;
        let total = users.iter().filter(|user| user.status == status).count();
        let mut rows = users.after(page.after).filter(|(_, user)| user.status == status);
        let shown: Vec<(u64, &User)> = rows.by_ref().take(page.size).collect();
        let last = shown.last().map(|(place, _)| *place).filter(|_| rows.next().is_some());
        let body = Object::new()
            .put("page_count", total.div_ceil(page.size))
            .put("page_number", 1)
            .put("page_size", page.size)
            .put("total_records", total)
            .put("next_page_token", page.next(last, self.now))
            .list("users", shown.into_iter().map(|(_, user)| user.row()));
        Ok(Answer::object(200, body))
    }

    pub(super) fn rest_get_user(&self, key: &str) -> Result<Answer, Refusal> {
        let user = self.find(key)?;
        if key.contains('@') && user.status == UserStatus::Pending && !self.account.quirks.pending_found_by_email {
            return Err(Refusal::NoSuchUser(key.to_owned())); // [F 98314]
        }
        Ok(Answer::object(200, user.details(&self.account.id, &self.account.owner_id, self.now)))
    }

    pub(super) fn rest_update_user(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        let fields = request.object()?;
        let user = self.find(key)?;
        let known = |kind: &Value| matches!(kind.as_i64(), Some(1..=4)); // [D]; 3 is On-prem of old.
        if fields.get("type").is_some_and(|kind| !known(kind)) {
            return Err(Refusal::Validation { field: "type", message: "Invalid field.".to_owned() });
        }
        if user.status == UserStatus::Pending {
            return Ok(Answer::empty(204)); // Success, and nothing is done [C SailPoint].
        }
        let id = user.id.clone();
        match self.update_user(&id, &fields) {
            Ok(()) => Ok(Answer::empty(204)),
            Err(WorldError::Refused(refusal)) => Err(refusal),
            Err(_) => Err(Refusal::NoSuchUser(id)),
        }
    }
}
