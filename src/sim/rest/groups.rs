//! Groups over REST.

use serde_json::Value;

use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::limit::Plan;
use crate::sim::world::Act;

use super::page::Page;

/// In one request \[D U: `maxItems`].
const MEMBERS_MAX: usize = 30;

impl Act<'_> {
    fn paid(&self) -> Result<(), Refusal> {
        if self.account.plan == Plan::Free { Err(Refusal::PaidOnly) } else { Ok(()) }
    }

    pub(super) fn rest_list_groups(&self, request: &Request) -> Result<Answer, Refusal> {
        self.paid()?;
        let page = Page::of(request, "groups".to_owned(), 300, self.now)?;
        let groups = &self.account.groups;
        let rows = groups.after(page.after).map(|(place, group)| {
            let row = Object::new().put("id", &group.id).put("name", &group.name);
            (place, row.put("total_members", group.members.len()))
        });
        Ok(page.answer("groups", groups.len(), rows, self.now))
    }

    pub(super) fn rest_list_members(&self, group: &str, request: &Request) -> Result<Answer, Refusal> {
        self.paid()?;
        let found = self.account.groups.find(group)?;
        let page = Page::of(request, format!("members {group}"), self.account.quirks.page_size_max, self.now)?;
        let places = found.members.range(page.after.saturating_add(1)..);
        let rows = places.filter_map(|place| {
            let user = self.account.users.at(*place)?;
            let row = Object::new().put("id", &user.id).put("email", &user.email);
            let row = row.put("first_name", &user.first_name).put("last_name", &user.last_name);
            Some((*place, row.put("type", user.kind)))
        });
        Ok(page.answer("members", found.members.len(), rows, self.now))
    }

    pub(super) fn rest_add_members(&mut self, group: &str, request: &Request) -> Result<Answer, Refusal> {
        self.paid()?;
        let bad = || Refusal::Validation { field: "members", message: "Invalid field.".to_owned() };
        let body = request.object()?;
        let items = body.get("members").and_then(Value::as_array).ok_or_else(bad)?;
        if !(1..=MEMBERS_MAX).contains(&items.len()) {
            return Err(bad());
        }
        // Where there is an id, the email is ignored [D U].
        let key =
            |item: &Value| item.get("id").or_else(|| item.get("email")).and_then(Value::as_str).map(str::to_owned);
        let keys = items.iter().map(|item| key(item).ok_or_else(bad)).collect::<Result<Vec<_>, _>>()?;
        let ids = self.join(group, &keys)?;
        Ok(Answer::object(201, Object::new().put("ids", ids.join(",")).put("added_at", rfc3339(self.now))))
    }

    pub(super) fn rest_remove_member(&mut self, group: &str, member: &str) -> Result<Answer, Refusal> {
        self.paid()?;
        self.leave(group, member)?;
        Ok(Answer::empty(204))
    }
}
