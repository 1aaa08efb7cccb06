//! The way to the simulated Zoom, over real HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use adjutant::account::UserKey;
use adjutant::audit::Call;
use adjutant::clock::{Clock, ManualClock, lock};
use adjutant::ids::{AccountId, Email, MeetingId, UserId};
use adjutant::job::Intent;
use adjutant::rules::MeetingSettings;
use adjutant::worker::ZoomFor;
use adjutant::zoom::{Assistant, Meeting, MeetingStatus, Page, Scheduler, Status, User, UserPage, Zoom, ZoomError};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) struct Zooms {
    pub(crate) http: reqwest::Client,
    pub(crate) api_url: String,
    pub(crate) oauth_url: String,
    pub(crate) clock: ManualClock,
}

impl ZoomFor for Zooms {
    fn zoom(&self, account: &AccountId) -> Option<Arc<dyn Zoom>> {
        Some(Arc::new(Plain { zooms: self.clone(), account: account.clone(), calls: Mutex::default() }))
    }
}

#[derive(Debug)]
struct Plain {
    zooms: Zooms,
    account: AccountId,
    calls: Mutex<Vec<Call>>,
}

impl Plain {
    async fn token(&self) -> Result<String, ZoomError> {
        let url = format!("{}/token?grant_type=account_credentials&account_id={}", self.zooms.oauth_url, self.account);
        let (id, secret) = (format!("client-{}", self.account), format!("client-secret-{}", self.account));
        let answer = self.zooms.http.post(url).basic_auth(id, Some(secret)).send().await.map_err(transient)?;
        let body: Value = answer.json().await.map_err(transient)?;
        Ok(body["access_token"].as_str().unwrap_or_default().to_owned())
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, ZoomError> {
        let token = self.token().await?;
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.zooms.http.request(method.clone(), format!("{}{path}", self.zooms.api_url));
        let request = request.bearer_auth(token);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let answer = request.send().await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        let category = "light".to_owned();
        lock(&self.calls).push(Call { method: method.to_string(), path: path.to_owned(), category, status, millis: 0 });
        let answer = answer.map_err(transient)?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(transient)?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        if status < 300 { Ok(body) } else { Err(self.error(status, &body)) }
    }

    fn error(&self, status: u16, body: &Value) -> ZoomError {
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        match status {
            404 => ZoomError::NotFound(message),
            429 => {
                let until = self.zooms.clock.now().plus(Duration::from_secs(1));
                ZoomError::Limited { until, why: message }
            }
            500.. => ZoomError::Transient(format!("{status}")),
            _ if message.contains("already granted") => ZoomError::AlreadyGranted,
            _ if message.contains("must either be a Licensed") => ZoomError::Unlicensed(message),
            _ if message.contains("to yourself") => ZoomError::Oneself,
            _ if message.contains("have started") => ZoomError::InProgress,
            _ if message.contains("scopes:") => ZoomError::ScopesMissing(message),
            _ => ZoomError::Refused { status, code: body["code"].as_i64().unwrap_or(0), message },
        }
    }
}

fn transient(error: reqwest::Error) -> ZoomError {
    ZoomError::Transient(error.to_string())
}

fn id_of(row: &Value) -> Option<UserId> {
    UserId::parse(row["id"].as_str()?).ok()
}

fn email_of(row: &Value) -> Option<Email> {
    Email::parse(row["email"].as_str()?).ok()
}

fn user_of(row: &Value) -> User {
    let status = match row["status"].as_str() {
        Some("active") => Status::Active,
        Some("inactive") => Status::Inactive,
        Some("pending") => Status::Pending,
        _ => Status::Unknown,
    };
    User { id: id_of(row), email: email_of(row), kind: row["type"].as_i64(), status }
}

#[async_trait::async_trait]
impl Zoom for Plain {
    async fn user(&self, user: &UserKey) -> Result<User, ZoomError> {
        self.call("GET", &format!("/users/{user}"), None).await.map(|row| user_of(&row))
    }

    async fn users(&self, _: Status, page: Page) -> Result<UserPage, ZoomError> {
        let body = self.call("GET", &format!("/users?status=active&page_size={}", page.size), None).await?;
        let users = body["users"].as_array().map(|rows| rows.iter().map(user_of).collect());
        Ok(UserPage { users: users.unwrap_or_default(), next: None, total: body["total_records"].as_u64() })
    }

    async fn assistants(&self, of: &UserKey) -> Result<Vec<Assistant>, ZoomError> {
        let body = self.call("GET", &format!("/users/{of}/assistants"), None).await?;
        let rows = body["assistants"].as_array().cloned().unwrap_or_default();
        Ok(rows.iter().map(|row| Assistant { id: id_of(row), email: email_of(row) }).collect())
    }

    async fn schedulers(&self, _: &UserKey) -> Result<Vec<Scheduler>, ZoomError> {
        Ok(Vec::new())
    }

    async fn add_assistant(&self, _: &Intent, of: &UserKey, who: &UserKey) -> Result<(), ZoomError> {
        let who = match who {
            UserKey::Id(id) => json!({ "id": id }),
            UserKey::Email(email) => json!({ "email": email }),
        };
        let body = json!({ "assistants": [who] });
        self.call("POST", &format!("/users/{of}/assistants"), Some(body)).await.map(drop)
    }

    async fn meeting(&self, id: MeetingId) -> Result<Meeting, ZoomError> {
        let body = self.call("GET", &format!("/meetings/{id}"), None).await?;
        let setting = |name: &str| body["settings"][name].as_bool();
        Ok(Meeting {
            id,
            host_id: body["host_id"].as_str().and_then(|id| UserId::parse(id).ok()),
            host_email: body["host_email"].as_str().and_then(|email| Email::parse(email).ok()),
            status: if body["status"] == "started" { MeetingStatus::Started } else { MeetingStatus::Waiting },
            settings: MeetingSettings {
                waiting_room: setting("waiting_room"),
                join_before_host: setting("join_before_host"),
            },
        })
    }

    async fn set_meeting(&self, _: &Intent, id: MeetingId, to: MeetingSettings) -> Result<(), ZoomError> {
        self.call("PATCH", &format!("/meetings/{id}"), Some(json!({ "settings": to }))).await.map(drop)
    }

    fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}
