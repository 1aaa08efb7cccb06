//! How Zoom is reached: the `[zoom]` table of the configuration.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

/// Where Zoom's API is, unless a configuration or Zoom itself says otherwise.
pub(super) const API_URL: &str = "https://api.zoom.us/v2";
const OAUTH_URL: &str = "https://zoom.us/oauth";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Base of the REST API, with its version. Default `https://api.zoom.us/v2`. Only with this default does a regional
    /// base that Zoom names beside a token count (`https://api-eu.zoom.us`, say; nothing outside `zoom.us`).
    pub api_url: String,
    /// Base of the OAuth endpoints; tokens come from `{oauth_url}/token`. Default `https://zoom.us/oauth`.
    pub oauth_url: String,
    /// Longest time to connect, TLS included, in seconds. Default 5; 1 to 60.
    pub connect_timeout_secs: u32,
    /// Longest time for one call from first to last byte, in seconds. Default 20; 1 to 300.
    pub call_timeout_secs: u32,
    /// Largest answer that is read, in bytes. Default 8388608 (8 MiB); 65536 or more.
    pub response_bytes_max: u64,
    /// The share of Zoom's published rate limits that is used, in percent: they are shared by all apps of an account.
    /// Default 80; 1 to 100.
    pub rate_share_percent: u8,
    /// Of that, what sweeps and their jobs may use at most, in percent of Zoom's rate, 1 to 100. Set in `[sweep]`.
    pub sweep_share_percent: u8,
    /// How long a call waits in place for its turn under the rate limits, in milliseconds; beyond it the job is put off.
    /// Default 3000; at most 60000.
    pub limit_wait_max_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_url: API_URL.to_owned(),
            oauth_url: OAUTH_URL.to_owned(),
            connect_timeout_secs: 5,
            call_timeout_secs: 20,
            response_bytes_max: 8 << 20,
            rate_share_percent: 80,
            sweep_share_percent: 30,
            limit_wait_max_ms: 3000,
        }
    }
}

/// Why settings make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("zoom.{key} {text:?} is not valid: expected an address like {like}, without query, fragment or user")]
    Url { key: &'static str, text: String, like: &'static str },
    #[error("zoom.{key} is {value}, expected {expected}")]
    Range { key: &'static str, value: u64, expected: &'static str },
}

impl Settings {
    /// Whether every value is in its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        base("api_url", &self.api_url, API_URL)?;
        base("oauth_url", &self.oauth_url, OAUTH_URL)?;
        let range = |key, value: u64, allowed: std::ops::RangeInclusive<u64>, expected| {
            if allowed.contains(&value) { Ok(()) } else { Err(SettingsError::Range { key, value, expected }) }
        };
        range("connect_timeout_secs", self.connect_timeout_secs.into(), 1..=60, "1 to 60")?;
        range("call_timeout_secs", self.call_timeout_secs.into(), 1..=300, "1 to 300")?;
        range("response_bytes_max", self.response_bytes_max, 65_536..=u64::MAX, "65536 or more")?;
        range("sweep_share_percent", self.sweep_share_percent.into(), 1..=100, "1 to 100")?;
        range("rate_share_percent", self.rate_share_percent.into(), 1..=100, "1 to 100")?;
        range("limit_wait_max_ms", self.limit_wait_max_ms.into(), 0..=60_000, "at most 60000")
    }

    /// The longest that one method of the port takes: waiting for a turn, fetching a token, and the call. Where a refused
    /// token makes more of it, the method is cut off at this time.
    pub fn call_longest(&self) -> Duration {
        self.limit_wait_max().saturating_add(self.call_timeout().saturating_mul(2))
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_secs.into())
    }

    pub(super) fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout_secs.into())
    }

    pub(super) fn limit_wait_max(&self) -> Duration {
        Duration::from_millis(self.limit_wait_max_ms.into())
    }

    /// Whether both bases are without TLS, as with a simulated Zoom: then no root certificates are needed.
    pub(super) fn is_all_plain(&self) -> bool {
        [&self.api_url, &self.oauth_url].into_iter().all(|url| url.to_ascii_lowercase().starts_with("http:"))
    }
}

fn base(key: &'static str, text: &str, like: &'static str) -> Result<(), SettingsError> {
    let error = || SettingsError::Url { key, text: redacted(text), like };
    let url = Url::parse(text).map_err(|_| error())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let known = matches!(url.scheme(), "http" | "https") && url.has_host();
    // The path is continued as text, so that it must already be as a parser would write it.
    let normal = url.as_str().trim_end_matches('/').eq_ignore_ascii_case(text.trim_end_matches('/'));
    if plain && known && normal && url.fragment().is_none() { Ok(()) } else { Err(error()) }
}

/// A mistaken address may hold a password, which must not reach a log.
fn redacted(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::default().check(), Ok(()));
        assert_eq!(Settings::default(), toml::from_str("").unwrap());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Settings>("api_ulr = \"x\"").is_err());
    }

    #[test]
    fn a_base_is_a_plain_address() {
        for good in ["http://127.0.0.1:8080", "http://localhost:1/v2/", "https://api.zoom.us/v2", "https://zoom.us"] {
            let settings = Settings { api_url: good.to_owned(), ..Settings::default() };
            assert_eq!(settings.check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "api.zoom.us/v2",
            "ftp://zoom.us",
            "https://u:hunter2@zoom.us",
            "https://zoom.us?a=b",
            "https://zoom.us#x",
            "https://zoom.us/a/../b",
            "file:///v2",
        ] {
            let settings = Settings { api_url: bad.to_owned(), ..Settings::default() };
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with("zoom.api_url"), "{bad}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_named() {
        let settings = Settings { rate_share_percent: 0, ..Settings::default() };
        assert_eq!(settings.check().unwrap_err().to_string(), "zoom.rate_share_percent is 0, expected 1 to 100");
        assert!(Settings { response_bytes_max: 1, ..Settings::default() }.check().is_err());
        assert!(Settings { limit_wait_max_ms: 60_001, ..Settings::default() }.check().is_err());
    }
}
