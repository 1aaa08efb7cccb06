//! Places in the audit log, as readers hold them: opaque, and valid for as long as the log is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A cursor that goes on at entry `index`.
pub(super) fn encode(index: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("1:{index}"))
}

/// The entry at which a cursor goes on.
pub(super) fn decode(cursor: &str) -> Option<u64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("1:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote_and_nothing_else() {
        for index in [0, 1, u64::MAX] {
            assert_eq!(decode(&encode(index)), Some(index));
        }
        for bad in ["", "7", "MTo", "MTot"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
