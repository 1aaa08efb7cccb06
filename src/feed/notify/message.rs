//! The words of a message, and the forms that they are sent in. Names from Zoom are in them: each form leaves them nothing
//! to do but be read.

use serde_json::{Value, json};

use super::Format;
use super::ledger::News;
use crate::alarm::Alarm;
use crate::feed::Body;
use crate::plain::one_line;
use crate::work::Message as Event;

/// Of each, in one message.
const ITEMS_MAX: usize = 20;
const CHARS_MAX: usize = 400;
/// Of what a rule says.
const LINES_MAX: usize = 50;
const LINE_CHARS_MAX: usize = 2000;

/// A head without names, and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub head: String,
    pub lines: Vec<String>,
    /// The lines say all: the head is for the subject of a mail alone.
    pub is_bare: bool,
}

impl Message {
    pub(super) fn of(News { begun, over }: &News) -> Self {
        let counts = [(begun.len(), "new"), (over.len(), "resolved")];
        let counts: Vec<String> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let mut lines = Vec::new();
        for alarm in begun.iter().take(ITEMS_MAX) {
            let Alarm { code, what, advice, command, .. } = alarm;
            lines.push(format!("NEW  {code}: {}", one_line(what, CHARS_MAX)));
            lines.push(format!("  to do: {}", one_line(advice, CHARS_MAX)));
            lines.push(format!("  then: {}", one_line(command, CHARS_MAX)));
        }
        lines.extend(more(begun.len(), "new"));
        let resolved =
            |alarm: &Alarm| format!("RESOLVED  {}: it was: {}", alarm.code, one_line(&alarm.what, CHARS_MAX));
        lines.extend(over.iter().take(ITEMS_MAX).map(resolved));
        lines.extend(more(over.len(), "resolved"));
        Self { head: format!("adjutant: {}", counts.join(", ")), lines, is_bare: false }
    }

    /// What `notify test` sends.
    pub fn test(name: &str) -> Self {
        let line = format!("This is a test of [[notify]] {name}. What needs a person: adjutant attention");
        Self { head: "adjutant: a test, nothing is wrong".to_owned(), lines: vec![line], is_bare: false }
    }

    /// What a rule tells of an event: its words ([`Body::in_words`]), cut where nobody reads on.
    pub fn of_rule(event: &Event, Body { text, .. }: &Body) -> Self {
        let severity = event.severity.map_or_else(String::new, |severity| format!("{}: ", severity.word()));
        let head = format!("{severity}{} (adjutant, rule {})", one_line(&event.event, CHARS_MAX), event.rule);
        let mut lines: Vec<String> = text.lines().take(LINES_MAX).map(|line| one_line(line, LINE_CHARS_MAX)).collect();
        if text.lines().nth(LINES_MAX).is_some() {
            lines.push("…".to_owned());
        }
        Self { head, lines, is_bare: true }
    }

    pub(super) fn text(&self) -> String {
        let lines = self.lines.join("\n");
        if self.is_bare { format!("{lines}\n") } else { format!("{}\n{lines}\n", self.head) }
    }

    /// The body of a POST, and its content type.
    pub(super) fn body(&self, format: Format) -> (Vec<u8>, &'static str) {
        let json = |value: &Value| (value.to_string().into_bytes(), "application/json");
        match format {
            Format::Plain => (self.text().into_bytes(), "text/plain; charset=utf-8"),
            Format::Slack => json(&self.slack()),
            Format::Teams => json(&self.teams()),
        }
    }

    /// Without `<`, `>` and `&` there is neither a mention nor a link in disguise.
    fn slack(&self) -> Value {
        let text = self.text().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text, "mrkdwn": false, "parse": "none", "unfurl_links": false, "unfurl_media": false })
    }

    /// An adaptive card of runs of text, in which Markdown means nothing; a mention would need an entity beside it.
    fn teams(&self) -> Value {
        let block =
            |line: &String| json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": line }] });
        let head = json!({
            "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": self.head, "weight": "Bolder" }],
        });
        let head = (!self.is_bare).then_some(head);
        let body: Vec<Value> = head.into_iter().chain(self.lines.iter().map(block)).collect();
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": body,
        });
        let attachment = json!({
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        });
        json!({ "type": "message", "attachments": [attachment] })
    }
}

fn more(all: usize, word: &str) -> Option<String> {
    let more = all.checked_sub(ITEMS_MAX).filter(|more| *more > 0)?;
    Some(format!("and {more} more {word}: adjutant attention"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Message {
        let what =
            "group <!channel> & <@U1> [x](http://e.example)\r\nBcc: eve@example.com\nRESOLVED  clock \u{202e}\u{1b}[1m";
        let alarm = Alarm::new("group-unknown", what, "do\nthis", "adjutant doctor");
        Message::of(&News { begun: vec![alarm], over: Vec::new() })
    }

    #[test]
    fn a_name_begins_no_line_and_steers_nothing() {
        let message = hostile();
        assert_eq!(message.head, "adjutant: 1 new");
        assert_eq!(message.lines.len(), 3, "{message:?}");
        let text = message.text();
        assert!(text.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("RESOLVED")), "{text}");
        assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn slack_gets_no_mention_and_no_link_from_a_name() {
        let slack = hostile().slack();
        let text = slack["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;@U1&gt;") && !text.contains(['<', '>']), "{text}");
        assert_eq!((slack["mrkdwn"].as_bool(), slack["parse"].as_str()), (Some(false), Some("none")));
    }

    #[test]
    fn teams_gets_runs_of_text_alone() {
        let teams = hostile().teams();
        assert!(!teams.to_string().contains("msteams") && !teams.to_string().contains("TextBlock\",\"text"));
        let body = teams["attachments"][0]["content"]["body"].as_array().unwrap();
        assert!(body.iter().all(|block| block["inlines"][0]["type"] == "TextRun"), "{teams}");
        assert!(body[1]["inlines"][0]["text"].as_str().unwrap().contains("[x](http://e.example)"));
    }

    #[test]
    fn a_message_is_bounded_and_says_what_it_leaves_out() {
        let alarm = |n: usize| Alarm::new("parked", "x".repeat(10_000), "y", "z").about(&n);
        let over: Vec<Alarm> = (0..21).map(alarm).collect();
        let message = Message::of(&News { begun: (0..500).map(alarm).collect(), over });
        assert_eq!(message.head, "adjutant: 500 new, 21 resolved");
        assert!(message.text().len() < 20_000);
        assert!(message.text().contains("and 480 more new: adjutant attention"));
        assert!(message.text().contains("and 1 more resolved"));
    }
}
