//! Assistants and schedulers over REST: who may schedule for whom.

use serde_json::Value;

use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::limit::Plan;
use crate::sim::user::{Assistant, UserStatus};
use crate::sim::world::Act;

/// At most 30 in a request, and 30 of one user \[D U].
const ASSISTANTS_MAX: usize = 30;

/// Assistants that a request names, by id or email, each with `can_manage_host_private_event`.
type Named = [(String, bool)];

impl Act<'_> {
    /// Gives the assistants' ids. All or nothing \[I].
    pub(crate) fn grant(&mut self, host: &str, named: &Named) -> Result<Vec<String>, Refusal> {
        let host = self.find(host)?;
        let pending = host.status == UserStatus::Pending;
        if self.account.plan == Plan::Free {
            return Err(Refusal::FreeAccount(host.id.clone()));
        }
        if named.len() > ASSISTANTS_MAX {
            return Err(too_many());
        }
        if !pending && !host.is_licensed() {
            return Err(Refusal::NotLicensed(host.id.clone()));
        }
        let mut adding: Vec<Assistant> = Vec::new();
        for (key, private) in named {
            let elsewhere = self.homes.get(&key.to_lowercase()).is_some_and(|home| *home != self.account.id);
            let Some(assistant) = self.known(key) else {
                return Err(if elsewhere {
                    Refusal::OtherAccount(key.clone())
                } else {
                    Refusal::CannotFind(key.clone())
                });
            };
            if assistant.id == host.id {
                return Err(Refusal::Yourself);
            }
            if assistant.status != UserStatus::Pending && !assistant.is_licensed() {
                return Err(Refusal::NotLicensed(assistant.email.clone()));
            }
            if host.has_assistant(&assistant.id) {
                let email = assistant.email.clone();
                let old_words = self.account.quirks.duplicates_in_old_words;
                return Err(if old_words { Refusal::AlreadyHas(email) } else { Refusal::AlreadyGranted(email) });
            }
            if adding.iter().all(|other| other.id != assistant.id) {
                let id = assistant.id.clone();
                adding.push(Assistant { id, can_manage_host_private_event: *private });
            }
        }
        if host.assistants.len() + adding.len() > ASSISTANTS_MAX {
            return Err(too_many());
        }
        let (ids, host_id) = (adding.iter().map(|new| new.id.clone()).collect(), host.id.clone());
        // Writes for pending users are answered with success and do nothing [C SailPoint]; for pending assistants too [I].
        adding.retain(|new| self.known(&new.id).is_some_and(|user| user.status != UserStatus::Pending));
        if !pending {
            self.account.users.edit(&host_id, |host| host.assistants.extend(adding));
        }
        Ok(ids)
    }

    /// Nothing happens where there was no such assistant \[I].
    pub(crate) fn withdraw(&mut self, host: &str, assistant: &str) -> Result<(), Refusal> {
        let no_user = || Refusal::NoSuchUser(assistant.to_owned());
        let (host, assistant) = (self.find(host)?.id.clone(), self.known(assistant).ok_or_else(no_user)?.id.clone());
        self.account.users.edit(&host, |host| host.assistants.retain(|other| other.id != assistant));
        Ok(())
    }

    pub(super) fn rest_add_assistants(&mut self, host: &str, request: &Request) -> Result<Answer, Refusal> {
        self.count_write(host);
        let named = named(request)?;
        let ids = self.grant(host, &named)?;
        let body = Object::new().put("ids", ids.join(",")).put("add_at", rfc3339(self.now));
        Ok(Answer::object(201, body))
    }

    /// Unpaginated \[D U].
    pub(super) fn rest_list_assistants(&self, host: &str) -> Result<Answer, Refusal> {
        let rows = self.find(host)?.assistants.iter().filter_map(|assistant| {
            let user = self.known(&assistant.id)?;
            let row = Object::new().put("id", &user.id).put("email", &user.email);
            Some(row.put("can_manage_host_private_event", assistant.can_manage_host_private_event))
        });
        Ok(Answer::object(200, Object::new().list("assistants", rows)))
    }

    /// One, or all of them \[D U].
    pub(super) fn rest_remove_assistants(&mut self, host: &str, one: Option<&str>) -> Result<Answer, Refusal> {
        self.count_write(host);
        let host_id = self.find(host)?.id.clone();
        match one {
            Some(assistant) => self.withdraw(&host_id, assistant)?,
            None => {
                self.account.users.edit(&host_id, |host| host.assistants.clear());
            }
        }
        Ok(Answer::empty(204))
    }

    /// Those for whom the user may schedule; unpaginated, and nobody knows how long it may get \[D U].
    pub(super) fn rest_list_schedulers(&self, assistant: &str) -> Result<Answer, Refusal> {
        let id = &self.find(assistant)?.id;
        let most = self.account.quirks.schedulers_max.unwrap_or(usize::MAX);
        let kin = self.kin.iter().filter(|user| user.has_assistant(id));
        let hosts = self.account.users.assisted_by(id).chain(kin).take(most);
        let rows = hosts.map(|user| Object::new().put("id", &user.id).put("email", &user.email).put("pmi", user.pmi));
        Ok(Answer::object(200, Object::new().list("schedulers", rows)))
    }

    pub(super) fn rest_remove_schedulers(&mut self, assistant: &str, one: Option<&str>) -> Result<Answer, Refusal> {
        let id = self.find(assistant)?.id.clone();
        if let Some(host) = one {
            self.withdraw(host, &id)?;
        } else {
            self.account.users.end_assisting(&id);
        }
        Ok(Answer::empty(204))
    }

    fn count_write(&mut self, host: &str) {
        self.account.users.edit(host, |host| host.assistant_writes += 1);
    }
}

fn too_many() -> Refusal {
    let message = format!("The number of assistants cannot be more than {ASSISTANTS_MAX}."); // [I]
    Refusal::Validation { field: "assistants", message }
}

/// Each item has an id or an email \[D U]; where both are there, the id counts \[I].
fn named(request: &Request) -> Result<Vec<(String, bool)>, Refusal> {
    let body = request.object()?;
    let bad = || Refusal::Validation { field: "assistants", message: "Invalid field.".to_owned() };
    let items = body.get("assistants").and_then(Value::as_array).filter(|items| !items.is_empty()).ok_or_else(bad)?;
    let name = |item: &Value| {
        let key = item.get("id").or_else(|| item.get("email")).and_then(Value::as_str)?;
        let private = item.get("can_manage_host_private_event").and_then(Value::as_bool).unwrap_or(false);
        Some((key.to_owned(), private))
    };
    items.iter().map(|item| name(item).ok_or_else(bad)).collect()
}
