//! Pages of lists: sizes, and tokens that say where to go on.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::sim::answer::{Answer, Refusal};
use crate::sim::body::Object;
use crate::sim::call::Request;

/// A page token lives 15 minutes \[D].
const LIFE: Duration = Duration::from_secs(15 * 60);

/// Which page of which list is wanted.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    /// The place of the last row of the page before; 0 at the start.
    pub(super) after: u64,
    list: String,
}

impl Page {
    /// `list` names the list with its filters: a token is good for no other.
    pub(super) fn of(request: &Request, list: String, size_max: usize, now: Timestamp) -> Result<Self, Refusal> {
        let size = match request.param("page_size") {
            None => 30, // [D]
            Some(text) => text.parse().unwrap_or(0),
        };
        if size == 0 || size > size_max {
            let message = format!("The value must be between 1 and {size_max}."); // [I]
            return Err(Refusal::Validation { field: "page_size", message });
        }
        let after = match request.param("next_page_token").filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => read(&token, &list, now).ok_or(Refusal::BadPageToken)?,
        };
        Ok(Self { size, after, list })
    }

    /// The page as Zoom answers it. `rows` are those from its start on, each with its place; `total` counts the whole list.
    pub(super) fn answer(
        &self,
        name: &str,
        total: usize,
        mut rows: impl Iterator<Item = (u64, Object)>,
        now: Timestamp,
    ) -> Answer {
        let shown: Vec<(u64, Object)> = rows.by_ref().take(self.size).collect();
        let last = shown.last().map(|(place, _)| *place).filter(|_| rows.next().is_some());
        let body = Object::new()
            .put("page_count", total.div_ceil(self.size))
            .put("page_number", 1)
            .put("page_size", self.size)
            .put("total_records", total)
            .put("next_page_token", self.next(last, now))
            .list(name, shown.into_iter().map(|(_, row)| row));
        Answer::object(200, body)
    }

    /// The token of the page after the one that ends at `last`; empty where that was the end, as Zoom has it \[D].
    fn next(&self, last: Option<u64>, now: Timestamp) -> String {
        last.map_or_else(String::new, |last| {
            URL_SAFE_NO_PAD.encode(format!("{last} {} {}", now.plus(LIFE).as_millis(), self.list))
        })
    }
}

fn read(token: &str, list: &str, now: Timestamp) -> Option<u64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (place, rest) = text.split_once(' ')?;
    let (expires, of) = rest.split_once(' ')?;
    let alive = Timestamp::from_millis(expires.parse().ok()?) > now;
    if alive && of == list { place.parse().ok() } else { None }
}
