//! A plain page for a person: a title, sentences, facts, links, a form. No script, nothing from elsewhere.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The only style there is.
const STYLE: &str = "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;\
                     background:#fff}h1{font-size:1.5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.4rem 1.2rem}\
                     dt{color:#555}dd{margin:0;overflow-wrap:anywhere}a,button{color:#0b57d0}button,input{font:inherit;\
                     padding:.4rem .8rem}label{display:block;margin-bottom:.3rem}@media(prefers-color-scheme:dark){body{\
                     background:#16181c;color:#e8e8e8}dt{color:#aaa}a,button{color:#8ab4f8}}";

#[derive(Debug, Clone, Default, Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{% if let Some(secs) = refresh %}<meta http-equiv="refresh" content="{{ secs }}">
{% endif %}<title>{{ title }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for text in texts %}<p>{{ text }}</p>
{% endfor %}{% if !facts.is_empty() %}<dl>
{% for (name, value) in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl>
{% endif %}{% if let Some(form) = form %}<form action="{{ form.action }}" method="post">
{% for (name, value) in form.hidden %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}<label for="field">{{ form.field.1 }}</label>
<input id="field" type="email" name="{{ form.field.0 }}" value="{{ form.value }}" required autofocus>
<button>{{ form.button }}</button>
</form>
{% endif %}{% for (to, text) in links %}<p><a href="{{ to }}">{{ text }}</a></p>
{% endfor %}</main>
</body>
</html>
"#
)]
pub(super) struct Page {
    title: String,
    style: &'static str,
    texts: Vec<String>,
    facts: Vec<(&'static str, String)>,
    links: Vec<(String, String)>,
    form: Option<Form>,
    /// Looks again by itself, after so many seconds.
    refresh: Option<u32>,
}

/// Asks for one thing, and sends it.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) action: String,
    /// Its name, and what it is.
    pub(super) field: (String, String),
    /// What is in it before.
    pub(super) value: String,
    pub(super) hidden: Vec<(String, String)>,
    pub(super) button: String,
    /// The origin that the answer leads to, where that is another.
    pub(super) leads_to: Option<String>,
}

impl Page {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), style: STYLE, ..Self::default() }
    }

    pub(super) fn with(mut self, text: impl Into<String>) -> Self {
        self.texts.push(text.into());
        self
    }

    pub(super) fn fact(mut self, name: &'static str, value: String) -> Self {
        self.facts.push((name, value));
        self
    }

    pub(super) fn link(mut self, to: impl Into<String>, text: impl Into<String>) -> Self {
        self.links.push((to.into(), text.into()));
        self
    }

    pub(super) fn form(self, form: Form) -> Self {
        Self { form: Some(form), ..self }
    }

    pub(super) fn refresh(self, secs: u32) -> Self {
        Self { refresh: Some(secs), ..self }
    }

    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let Ok(html) = self.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        let leads_to = self.form.as_ref().and_then(|form| form.leads_to.as_deref()).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {leads_to}"
        );
        let mut answer = (status, html).into_response();
        let headers = answer.headers_mut();
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}
