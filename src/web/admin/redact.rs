//! Bodies of deliveries, as they are shown: without what opens a meeting or an account.

use serde_json::Value;

use crate::rules::without_secrets;

pub(super) fn redact(value: &mut Value) {
    without_secrets(value, Some("***"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_opens_a_meeting_or_an_account_is_not_shown_wherever_it_stands() {
        let mut body = json!({
            "topic": "Maths", "pmi_password": "s1", "h323_passcode": "s2", "encrypted_passcode": "s3", "zak": "s4",
            "links": ["https://zoom.us/j/1?pwd=s5"],
            "settings": { "pstn_password": "s6", "dynamic_host_key": 7, "pmi_password_on": true,
                          "nested": [{ "chat_join_url": "s8", "personal_meeting_url": "https://zoom.us/j/2?pwd=s9" }] },
        });
        redact(&mut body);
        assert_eq!(
            body,
            json!({
                "topic": "Maths", "pmi_password": "***", "h323_passcode": "***", "encrypted_passcode": "***", "zak": "***",
                "links": ["***"],
                "settings": { "pstn_password": "***", "dynamic_host_key": "***", "pmi_password_on": true,
                              "nested": [{ "chat_join_url": "***", "personal_meeting_url": "***" }] },
            })
        );
    }
}
