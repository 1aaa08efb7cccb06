//! What is left of somebody in the folder of a stopped service.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::super::stage::told;
use crate::cli::out::count;
use crate::cli::store;
use crate::config::{self, Env};

/// That nothing in the folder names any of `gone`: neither a file as it is, nor anything that a key of the store opens. That the
/// same search finds those who are `kept` shows that it finds something.
pub(super) async fn of(config: &Path, gone: Vec<String>, kept: Vec<String>) -> Result<(), String> {
    let vars: [(String, String); 0] = [];
    let outline = told(config::load_outline(config, &Env::from_vars(vars)))?;
    let mut found = Vec::new();
    let guises: Vec<Vec<u8>> = gone.iter().flat_map(|name| guises(name)).collect();
    told(search(&outline.store.folder, &guises, &mut found))?;
    let store = store::open(&outline).await.map_err(|failure| failure.to_string())?;
    let (left, others) = (store.traces(gone).await, store.traces(kept).await);
    told(store.close_now())?;
    found.extend(told(left)?);
    if told(others)?.is_empty() {
        return Err("the search finds nobody at all".to_owned());
    }
    if found.is_empty() {
        return Ok(());
    }
    let some: Vec<String> = found.iter().take(5).cloned().collect();
    Err(format!("{} are left: {}", count(found.len(), "trace", "traces"), some.join("; ")))
}

/// The ways in which a text would be seen without a key: as it is, in hex, and in base64 wherever it begins within three bytes.
fn guises(text: &str) -> Vec<Vec<u8>> {
    let in_base64 = (0..3_usize).filter_map(|shift| {
        let encoded = STANDARD_NO_PAD.encode(format!("{}{text}", "x".repeat(shift)));
        // The ends depend on what is beside it; what is left of a short name may be there by chance.
        let (from, to) = (if shift == 0 { 0 } else { 4 }, encoded.len().saturating_sub(4));
        encoded.get(from..to).filter(|part| part.len() >= 6).map(|part| part.as_bytes().to_vec())
    });
    [text.as_bytes().to_vec(), hex::encode(text).into_bytes()].into_iter().chain(in_base64).collect()
}

fn search(folder: &Path, needles: &[Vec<u8>], found: &mut Vec<String>) -> std::io::Result<()> {
    let begins: [bool; 256] = std::array::from_fn(|byte| {
        needles.iter().filter_map(|needle| needle.first()).any(|first| usize::from(*first) == byte)
    });
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, needles, found)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let may_begin = |(_, byte): &(usize, &u8)| begins.get(usize::from(**byte)) == Some(&true);
        for (at, _) in bytes.iter().enumerate().filter(may_begin) {
            let rest = bytes.get(at..).unwrap_or_default();
            let here = needles.iter().filter(|needle| rest.starts_with(needle));
            found.extend(here.map(|needle| format!("{} in {}", String::from_utf8_lossy(needle), path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_as_it_is_in_hex_and_in_base64_wherever_it_begins() {
        let (folder, name) = (tempfile::tempdir().unwrap(), "ada@school-1.example");
        let needles = guises(name);
        let mut in_files = vec![format!("x{name}x"), format!("x{}x", hex::encode(name))];
        in_files.extend((0..3).map(|shift| STANDARD_NO_PAD.encode(format!("{}{name}!", &"abc"[..shift]))));
        for text in in_files {
            std::fs::create_dir_all(folder.path().join("deep")).unwrap();
            std::fs::write(folder.path().join("deep/file"), &text).unwrap();
            let mut found = Vec::new();
            search(folder.path(), &needles, &mut found).unwrap();
            assert_eq!(found.len(), 1, "{text}");
        }
        std::fs::write(folder.path().join("deep/file"), "eve@school-1.example").unwrap();
        let mut found = Vec::new();
        search(folder.path(), &needles, &mut found).unwrap();
        assert_eq!(found, Vec::<String>::new());
    }
}
