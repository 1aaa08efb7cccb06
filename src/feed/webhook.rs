//! A consumer that is told by POST, as Standard Webhooks says.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::post::{PostError, Poster};
use super::signature::header;
use super::{Sent, Webhook};
use crate::clock::Timestamp;

#[derive(Debug)]
pub(super) struct Sender {
    webhook: Webhook,
    poster: Poster,
}

impl Sender {
    pub(super) fn new(webhook: Webhook) -> Self {
        let poster = Poster::new(webhook.allow_private);
        Self { webhook, poster }
    }

    pub(super) async fn send(&self, id: &str, kind: &'static str, body: Vec<u8>, now: Timestamp) -> Sent {
        let Some(headers) = self.headers(id, kind, &body, now) else {
            return Sent::Failed("its headers cannot be written".to_owned());
        };
        match self.poster.post(&self.webhook.url, headers, body, now).await {
            Ok(answer) if answer.is_success() => Sent::Done(answer.status.to_string()),
            Ok(answer) => match (answer.status, answer.retry_after) {
                (410, _) => Sent::Gone,
                (413, _) => Sent::TooLong(format!("it answered {answer}")),
                (429 | 503, Some(at)) => Sent::Later { at, why: format!("it answered {answer}") },
                // Those that say to try again later, or that who asks has to be mended.
                (400..=499, _) if !matches!(answer.status, 401 | 403 | 404 | 407 | 408 | 425 | 429) => {
                    Sent::Rejected(format!("it answered {answer}"))
                }
                _ => Sent::Failed(format!("it answered {answer}")),
            },
            Err(PostError::NoAnswer(why)) => Sent::Failed(format!("it did not answer: {why}")),
            Err(error) => Sent::Failed(error.to_string()),
        }
    }

    fn headers(&self, id: &str, kind: &'static str, body: &[u8], now: Timestamp) -> Option<HeaderMap> {
        let mut headers = self.webhook.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert("webhook-id", HeaderValue::try_from(id).ok()?);
        headers.insert("webhook-timestamp", HeaderValue::from(now.as_secs()));
        if !self.webhook.secrets.is_empty() {
            let signature = header(&self.webhook.secrets, id, now, body);
            headers.insert("webhook-signature", HeaderValue::try_from(signature).ok()?);
        }
        Some(headers)
    }
}
