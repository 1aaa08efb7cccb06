//! Entry bundles of C2SP `tlog-tiles`: what 256 leaves are hashes of, each with its length before it in two bytes, big-endian.
//!
//! Where nothing but the leaf is left of an entry, its length is 0. No line is empty, so that this says one thing alone.

use super::tile::number_in_path;

/// Of one line.
const BYTES_MAX: usize = 0xFFFF;

/// Below the log's prefix, as in `tile/entries/x001/234`; with its width where it is not full.
pub fn path(index: u64, width: u64) -> String {
    let part = if width < super::tile::WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/entries/{}{part}", number_in_path(index))
}

/// Adds what a leaf is the hash of; none where only the leaf is left, or it is too long for a bundle. Whether it is in it.
pub fn put(line: Option<&[u8]>, to: &mut Vec<u8>) -> bool {
    let line = line.filter(|line| line.len() <= BYTES_MAX).unwrap_or_default();
    let length = u16::try_from(line.len()).unwrap_or_default();
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(line);
    !line.is_empty()
}

/// The lines of a bundle of so many entries, each empty where only its leaf is left; none where it is not written as one is.
pub fn read(mut bytes: &[u8], width: usize) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::with_capacity(width);
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (line, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        lines.push(line);
        bytes = rest;
    }
    (bytes.is_empty() && lines.len() == width).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_reads_back_as_it_was_written_and_not_otherwise() {
        let long = vec![7; BYTES_MAX + 1];
        let mut bytes = Vec::new();
        assert!(put(Some(b"one"), &mut bytes) && !put(None, &mut bytes) && !put(Some(&long), &mut bytes));
        assert!(put(Some(&long[1..]), &mut bytes));
        assert_eq!(bytes[..9], *b"\0\x03one\0\0\0\0");
        let read_back = read(&bytes, 4).unwrap();
        assert_eq!((read_back[0], read_back[1].len(), read_back[3].len()), (&b"one"[..], 0, BYTES_MAX));
        assert!(read(&bytes, 3).is_none() && read(&bytes, 5).is_none());
        assert!(read(&bytes[..bytes.len() - 1], 4).is_none() && read(&[&bytes[..], b"\0"].concat(), 4).is_none());
        assert_eq!(path(1_234, 256), "tile/entries/x001/234");
        assert_eq!(path(0, 7), "tile/entries/000.p/7");
    }
}
