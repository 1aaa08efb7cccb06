//! What the headers of an answer say of rate limits.
//!
//! They may be absent, or describe another bucket than the one that the call was counted in \[D]; so what they say is
//! taken as a word about the category that they name, and about no call.

use http::HeaderMap;

use super::port::Category;

/// A limit as Zoom states it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldLimit {
    pub category: Category,
    /// Else a second.
    pub is_daily: bool,
    pub calls: u64,
}

/// The rate-limit headers of one answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) category: Category,
    pub(super) is_daily: bool,
    /// None where Zoom does not say what the number counts.
    pub(super) limit: Option<ToldLimit>,
    pub(super) remaining: Option<u64>,
}

impl Told {
    /// None where no category is named that we know.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(|value| value.trim().to_ascii_lowercase())
        };
        let number = |name| text(name).and_then(|number| number.parse::<u64>().ok());
        let category = match text("x-ratelimit-category")?.as_str() {
            "light" => Category::Light,
            "medium" => Category::Medium,
            "heavy" => Category::Heavy,
            _ => return None,
        };
        let kind = text("x-ratelimit-type").unwrap_or_default();
        let is_daily = kind.contains("daily");
        let is_known = is_daily || kind.contains("qps");
        let limit = number("x-ratelimit-limit").filter(|_| is_known);
        let limit = limit.map(|calls| ToldLimit { category, is_daily, calls });
        Some(Self { category, is_daily, limit, remaining: number("x-ratelimit-remaining") })
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::plans_with;
    use super::*;
    use crate::account::Plan;

    fn told(kind: &str, category: &str, limit: &str) -> Option<ToldLimit> {
        let mut headers = HeaderMap::new();
        for (name, value) in [("type", kind), ("category", category), ("limit", limit)] {
            let name = http::HeaderName::try_from(format!("x-ratelimit-{name}")).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        Told::read(&headers).and_then(|told| told.limit)
    }

    #[test]
    fn a_limit_that_zoom_states_names_the_plans_that_have_it() {
        for (kind, category, limit, plans) in [
            ("QPS", "Light", "80", &[Plan::Business][..]),
            ("qps", " medium ", "20", &[Plan::Pro]),
            ("Daily-limit", "Light", "6000", &[Plan::Free]),
            ("Daily-limit", "heavy", "60000", &[Plan::Business]),
            ("QPS", "Light", "81", &[]),
        ] {
            assert_eq!(plans_with(&told(kind, category, limit).unwrap()), plans, "{kind} {category} {limit}");
        }
        for (kind, category, limit) in
            [("", "Light", "80"), ("QPS", "", "80"), ("QPS", "Resource-intensive", "10"), ("QPS", "Light", "many")]
        {
            assert_eq!(told(kind, category, limit), None, "{kind} {category} {limit}");
        }
    }
}
