//! The log of webhooks over REST: what Zoom sent in the last seven days, and how it ended \[DOC].

use std::time::Duration;

use serde_json::json;

use crate::clock::Timestamp;
use crate::sim::answer::{Answer, Refusal, rfc3339};
use crate::sim::body::Object;
use crate::sim::call::Request;
use crate::sim::outbox::{Attempt, Sent};
use crate::sim::sign::sign;
use crate::sim::world::Act;

use super::page::Page;

const KEPT: Duration = Duration::from_secs(7 * 86_400);

impl Attempt {
    /// The names of the fields are \[DOC], what stands in them is \[I] but for the number of the retry and the request id.
    fn row(&self) -> Object {
        let delivery = &self.delivery;
        let (status, reason) = match &self.result {
            Sent::Status(status) => (*status, 3),
            Sent::Failed(_) => (0, 1),
        };
        let signed = delivery.signed_at.unwrap_or(self.at).as_secs();
        let body = String::from_utf8_lossy(&delivery.body);
        let headers = json!({
            "x-zm-request-id": delivery.request_id, "x-zm-request-timestamp": signed.to_string(),
            "x-zm-signature": sign(&delivery.secret, signed, &delivery.body),
        });
        Object::new()
            .put("event", &delivery.event)
            .put("status", u8::from(self.is_success()))
            .put_some("failed_reason_type", (!self.is_success()).then_some(reason))
            .put("endpoint", &delivery.url)
            .put("request_headers", headers.to_string())
            .put("request_body", body)
            .put("response_status", status)
            .put("date_time", rfc3339(self.at))
            .put("request_id", &delivery.request_id)
            .put("retry_num", delivery.attempt)
    }
}

impl Act<'_> {
    /// The app that asks is known by its client id, and sees what it was sent about the token's account \[I].
    pub(super) fn rest_list_webhook_logs(&self, app: &str, client: &str, request: &Request) -> Result<Answer, Refusal> {
        if app != client {
            return Err(Refusal::NoSuchEndpoint); // [I] which of the refusals it is.
        }
        let (kind, event) = (request.param("type").unwrap_or_default(), request.param("event"));
        let from = moment(request, "from")?.unwrap_or(Timestamp::EPOCH).max(self.now.minus(KEPT));
        let to = moment(request, "to")?.unwrap_or(self.now);
        let page = Page::of(request, format!("logs {kind} {event:?}"), 300, self.now)?;
        let wanted = |(_, attempt): &(u64, &Attempt)| {
            let of_type = match kind.as_str() {
                "2" => !attempt.is_success(),
                "3" => attempt.is_success(),
                _ => true,
            };
            let named = event.as_ref().is_none_or(|event| *event == attempt.delivery.event);
            of_type && named && from <= attempt.at && attempt.at <= to
        };
        let all = || self.outbox.attempts_of(&self.account.id, client).filter(wanted);
        let rows = all().filter(|(place, _)| *place > page.after).map(|(place, attempt)| (place, attempt.row()));
        Ok(page.answer("webhook_logs", all().count(), rows, self.now))
    }
}

/// A date-time in the query \[I: the documents say only that there are `from` and `to`].
fn moment(request: &Request, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = request.param(name) else { return Ok(None) };
    let bad = |_| Refusal::Validation { field: name, message: "Invalid field.".to_owned() };
    let at = text.parse::<jiff::Timestamp>().map_err(bad)?;
    Ok(Some(Timestamp::from_millis(at.as_millisecond())))
}
