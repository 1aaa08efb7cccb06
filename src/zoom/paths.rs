//! Ids in paths: whatever one holds, it stays one segment, so that no id of Zoom's or a stranger's leads elsewhere.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::ids::MeetingUuid;

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One path segment that stands for `data`.
pub fn segment(data: &str) -> String {
    match data {
        // These mean a step in the path even when their dots are escaped, so that they are escaped twice and mean nothing.
        "." | ".." => data.replace('.', "%252E"),
        _ => utf8_percent_encode(data, RESERVED).to_string(),
    }
}

/// A meeting UUID as a path segment: Zoom wants one that begins with `/` or holds `//` escaped twice.
pub fn meeting_uuid(uuid: &MeetingUuid) -> String {
    let once = segment(uuid.as_str());
    if uuid.as_str().starts_with('/') || uuid.as_str().contains("//") { segment(&once) } else { once }
}

/// The address of `path` (escaped, with its query) below `base`. None where the address would not be what was meant: that
/// is a defect here, and nothing may be sent.
pub(super) fn below(base: &str, path: &str) -> Option<Url> {
    if !path.starts_with('/') {
        return None;
    }
    let base = base.trim_end_matches('/');
    let url = Url::parse(&format!("{base}{path}")).ok()?;
    let start = Url::parse(base).ok()?;
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let expected = format!("{}{path}", start.path().trim_end_matches('/'));
    let same = url.path() == expected && url.query() == query && url.fragment().is_none();
    (same && url.origin() == start.origin()).then_some(url)
}

/// `key=value&…` with everything escaped.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
    pairs.join("&")
}

fn escaped(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::UserKey;
    use crate::ids::UserId;
    use crate::zoom::Endpoint;

    const HOSTILE: [&str; 15] = [
        "KDcuGIm1QgePTO8WbOqwIQ",
        "../users",
        "..%2fusers",
        "%2e%2e",
        "%2f",
        "a/b",
        "a\\b",
        "a?b=c",
        "a#b",
        "a;b=c",
        "a%00b",
        ".",
        "..",
        "//evil.example/",
        "http:",
    ];

    #[test]
    fn an_id_is_one_segment_of_the_address_as_parsed() {
        for base in ["https://api.zoom.us/v2", "http://127.0.0.1:9", "http://127.0.0.1:9/a/b/"] {
            for id in HOSTILE {
                let url = below(base, &Endpoint::ListAssistants.path(&[id])).unwrap();
                let base = Url::parse(base).unwrap();
                let depth = base.path().trim_end_matches('/').split('/').count();
                let segments: Vec<&str> = url.path().split('/').skip(depth).collect();
                assert_eq!(segments.len(), 3, "{id:?} became {url}");
                assert_eq!((segments[0], segments[2]), ("users", "assistants"), "{id:?} became {url}");
                let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
                let twice = percent_encoding::percent_decode_str(&decoded).decode_utf8().unwrap().into_owned();
                assert!(decoded == id || twice == id, "{id:?} became {url}");
                assert_eq!((url.query(), url.fragment(), url.origin()), (None, None, base.origin()));
            }
        }
    }

    #[test]
    fn emails_are_escaped() {
        assert_eq!(segment("a+b/../c@d.example"), "a%2Bb%2F..%2Fc%40d.example");
        assert_eq!(segment("jürgen@example.com"), "j%C3%BCrgen%40example.com");
        let key: UserKey = "../../oauth/token?x=#@y".parse().unwrap();
        let url = below("https://api.zoom.us/v2", &Endpoint::GetUser.path(&[key.as_str()])).unwrap();
        assert_eq!(url.path(), "/v2/users/..%2F..%2Foauth%2Ftoken%3Fx%3D%23%40y");
    }

    #[test]
    fn a_user_that_would_mean_another_path_is_no_user() {
        for bad in ["me", "Me", ".", "..", "a b", ""] {
            assert!(UserId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_meeting_uuid_is_escaped_twice_where_zoom_wants_it() {
        for (uuid, expected) in [
            ("atsXxhSEQWit9t+U02HXNQ==", "atsXxhSEQWit9t%2BU02HXNQ%3D%3D"),
            ("a/b==", "a%2Fb%3D%3D"),
            ("/ab==", "%252Fab%253D%253D"),
            ("a//b", "a%252F%252Fb"),
        ] {
            assert_eq!(meeting_uuid(&MeetingUuid::parse(uuid).unwrap()), expected);
        }
    }

    #[test]
    fn an_address_that_is_not_what_was_meant_is_not_made() {
        for path in ["/users/..", "/users/%2e%2e/x", "/users/a#b", "@evil.example/", ".evil.example/x", "/a\\b"] {
            assert_eq!(below("https://api.zoom.us/v2", path), None, "{path}");
            assert_eq!(below("https://api.zoom.us", path), None, "{path}");
        }
    }

    #[test]
    fn a_query_value_cannot_add_another() {
        assert_eq!(query(&[("status", "active"), ("t", "a&b=c d#é")]), "status=active&t=a%26b%3Dc%20d%23%C3%A9");
        let path = format!("/users?{}", query(&[("next_page_token", "a&b=c'd")]));
        let url = below("https://api.zoom.us/v2", &path).unwrap();
        assert_eq!(url.query_pairs().collect::<Vec<_>>(), [("next_page_token".into(), "a&b=c'd".into())]);
    }
}
