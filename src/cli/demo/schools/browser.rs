//! The browser of an admin: it keeps cookies, follows redirects, and presses what its user presses.

use std::collections::BTreeMap;

use http::header;
use reqwest::{Client, RequestBuilder, Url};

/// As browsers do, though with fewer.
const REDIRECTS_MAX: usize = 10;

#[derive(Debug)]
pub(super) struct Browser {
    client: Client,
    /// By site and name.
    cookies: BTreeMap<(String, String), String>,
}

/// What it shows.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) text: String,
}

impl Page {
    /// That all of this can be read on it.
    pub(super) fn says(&self, texts: &[&str]) -> Result<(), String> {
        match texts.iter().find(|text| !self.text.contains(**text)) {
            None => Ok(()),
            Some(text) => {
                let (_, main) = self.text.split_once("<main>").unwrap_or_default();
                let (path, main) = (self.url.path(), crate::plain::one_line(main, 1_000));
                Err(format!("the page at {path}, answered {}, does not say {text:?}: {main}", self.status))
            }
        }
    }
}

impl Browser {
    /// `client` follows no redirect by itself.
    pub(super) const fn new(client: Client) -> Self {
        Self { client, cookies: BTreeMap::new() }
    }

    pub(super) async fn get(&mut self, url: Url) -> Result<Page, String> {
        let request = self.client.get(url.clone());
        self.go(url, request).await
    }

    /// Sends the one field of a form.
    pub(super) async fn press(&mut self, url: Url, (name, value): (&str, &str)) -> Result<Page, String> {
        let request = self.client.post(url.clone()).form(&[(name, value)]);
        self.go(url, request).await
    }

    async fn go(&mut self, mut url: Url, mut request: RequestBuilder) -> Result<Page, String> {
        for _ in 0..REDIRECTS_MAX {
            let site = url.authority().to_owned();
            let of_site = self.cookies.iter().filter(|((of, _), _)| *of == site);
            let cookies: Vec<String> = of_site.map(|((_, name), value)| format!("{name}={value}")).collect();
            if !cookies.is_empty() {
                request = request.header(header::COOKIE, cookies.join("; "));
            }
            let answer = request.send().await.map_err(|error| format!("{url} does not answer: {error}"))?;
            for set in answer.headers().get_all(header::SET_COOKIE).iter().filter_map(|set| set.to_str().ok()) {
                self.keep(&site, set);
            }
            if !answer.status().is_redirection() {
                let status = answer.status().as_u16();
                let text = answer.text().await.map_err(|error| format!("{url} does not answer: {error}"))?;
                return Ok(Page { url, status, text });
            }
            let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            let to = to.ok_or_else(|| format!("{url} leads nowhere"))?;
            url = url.join(to).map_err(|error| format!("{url} leads to {to}: {error}"))?;
            request = self.client.get(url.clone());
        }
        Err(format!("too many redirects, the last to {url}"))
    }

    fn keep(&mut self, site: &str, set: &str) {
        let mut parts = set.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let key = (site.to_owned(), name.to_owned());
        if parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::remote::client;

    #[test]
    fn cookies_are_kept_for_their_site_and_until_they_are_ended() {
        let mut browser = Browser::new(client(Duration::from_secs(1)).unwrap());
        browser.keep("one:1", "a=b=c; Path=/; HttpOnly; Max-Age=60");
        browser.keep("other:2", "a=d");
        let key = ("one:1".to_owned(), "a".to_owned());
        assert_eq!((browser.cookies.len(), browser.cookies.get(&key)), (2, Some(&"b=c".to_owned())));
        browser.keep("one:1", "a=; Path=/; Max-Age=0");
        assert_eq!((browser.cookies.len(), browser.cookies.get(&key)), (1, None));
    }
}
