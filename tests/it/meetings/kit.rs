//! A school with teachers, and what is asked of their meetings.

use adjutant::sim::NewUser;
use serde_json::{Value, json};

use crate::process::served::{Served, served};
use crate::process::service::{ACCOUNT, API_USER};

pub(crate) const LENDING: &str = "[moves]\nlend = true\n";

pub(crate) fn email(name: &str) -> String {
    format!("{name}@school.example")
}

/// Licensed teachers of these names, of whom the API user may schedule for those in `granted`.
pub(crate) fn school(more: &str, names: &[&str], granted: &[&str]) -> Served {
    let mut served = served(&format!("[sweep]\ncron = \"0 0 1 1 *\"\n{more}"));
    // The first sweep grants what the rule says, and none comes after it: whoever is added has what is granted here.
    served.settle();
    for name in names {
        served.world.add_user(ACCOUNT, NewUser::licensed(&email(name))).unwrap();
    }
    for name in granted {
        served.world.grant(ACCOUNT, &email(name), API_USER).unwrap();
    }
    served
}

/// The errand, also out of the problem that tells that it was refused.
fn became((_, answer): (u16, Value)) -> Value {
    answer.get("errand").cloned().unwrap_or(answer)
}

impl Served {
    pub(crate) fn sent(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/v1/accounts/{ACCOUNT}/{path}");
        self.service.send(method, &path, body.to_string().as_bytes()).unwrap()
    }

    /// Waits for what becomes of it.
    pub(crate) fn schedule(&self, host: &str, path: &str, topic: &str) -> Value {
        let meeting = json!({ "topic": topic, "type": 2, "start_time": "2037-01-01T09:00:00Z" });
        let body = json!({ "for": email(host), "path": path, "meeting": meeting });
        became(self.sent("POST", "meetings?wait=60s", &body))
    }

    pub(crate) fn give(&self, meeting: u64, to: &str, more: &Value) -> Value {
        let mut body = json!({ "to": email(to) });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        became(self.sent("POST", &format!("meetings/{meeting}/move?wait=60s"), &body))
    }

    pub(crate) fn check(&self, meeting: u64, to: &str) -> Value {
        let (status, view) =
            self.sent("POST", &format!("meetings/{meeting}/move?check=true"), &json!({ "to": email(to) }));
        assert_eq!(status, 200, "{view}");
        view
    }

    /// Who hosts it, by the name before the @.
    pub(crate) fn host(&self, meeting: u64) -> String {
        let host = self.world.meeting(ACCOUNT, meeting).unwrap().host_id;
        let user = self.world.users(ACCOUNT).into_iter().find(|user| user.id == host).unwrap();
        user.email.split('@').next().unwrap().to_owned()
    }
}
