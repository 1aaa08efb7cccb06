//! The format on disk, byte by byte. All numbers are little-endian.
//!
//! # Segment file: `<first record number, 20 digits>.seg`
//! ```text
//! header   32 bytes
//!    0  magic            8 bytes  "ADJSEGMT"
//!    8  format version   u16      1
//!   10  zero             u16
//!   12  crc32c           u32      over bytes 0..12 and 16..32
//!   16  first number     u64      of the first record, as in the file's name
//!   24  segment id       u64      random: no old block of the disk passes for a frame of this file
//! frames   each at a multiple of 8
//! tail     zero bytes, while the segment is not sealed; nothing at all afterwards
//! ```
//! Whatever later versions change, the first 32 bytes keep this shape, so that an older program can say which version it
//! has met.
//!
//! # Frame
//! ```text
//!    0  payload length   u32      at most 4 MiB
//!    4  crc32c           u32      over the segment id (8 bytes), bytes 0..4, bytes 8..24, payload
//!    8  record number    u64
//!   16  position         u32      in its batch: its number − the number of the first record of the batch
//!   20  kind             u8       the owner's; for frames of the journal itself see below
//!   21  version          u8       the owner's
//!   22  flags            u16      bit 0: last of its batch; bit 1: a frame of the journal itself; the others are zero
//!   24  payload
//!       zero bytes, up to the next multiple of 8 (checked)
//! ```
//! Numbers rise by one, in a segment and from segment to segment. A **batch** is what one `fdatasync` covers: a batch that
//! is not whole was never acknowledged.
//!
//! # Footer
//! A sealed segment ends, to the byte, with a frame of the journal itself: number = the number that comes next (which it
//! does not use up), position 0, flags 3, payload = the count of records (u64). Its kind says why the segment was sealed:
//! 1 the next segment follows (and is there, since before the footer), 2 the journal was closed, 3 recovery copied it.

use crate::store::{narrow, wide};

pub(super) const FORMAT_VERSION: u16 = 1;
/// The longest payload of a record, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// The number of the very first record.
pub const FIRST_NUMBER: u64 = 1;

pub(super) const HEADER_BYTES: u64 = 32;
pub(super) const FRAME_BYTES: u64 = 24;
pub(super) const FOOTER_BYTES: u64 = FRAME_BYTES + 8;

const MAGIC: [u8; 8] = *b"ADJSEGMT";
const FLAG_LAST: u16 = 1;
const FLAG_OURS: u16 = 2;

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// The start of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first: u64,
    pub(super) id: u64,
}

/// Why the first 32 bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    Newer { found: u16 },
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut start = Vec::with_capacity(narrow(HEADER_BYTES));
        start.extend_from_slice(&MAGIC);
        start.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        start.extend_from_slice(&[0; 2]);
        let mut rest = self.first.to_le_bytes().to_vec();
        rest.extend_from_slice(&self.id.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&start), &rest);
        start.extend_from_slice(&crc.to_le_bytes());
        start.extend_from_slice(&rest);
        start
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        Self::parts(bytes).unwrap_or(Err(HeaderFault::Damaged))
    }

    fn parts(bytes: &[u8]) -> Option<Result<Self, HeaderFault>> {
        let crc = crc32c::crc32c_append(crc32c::crc32c(bytes.get(..12)?), bytes.get(16..32)?);
        if bytes.get(..8)? != MAGIC.as_slice() || u32_at(bytes, 12)? != crc {
            return None;
        }
        let found = u16_at(bytes, 8)?;
        if found > FORMAT_VERSION {
            return Some(Err(HeaderFault::Newer { found }));
        }
        Some(Ok(Self { first: u64_at(bytes, 16)?, id: u64_at(bytes, 24)? }))
    }
}

/// A frame without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) number: u64,
    pub(super) position: u32,
    pub(super) kind: u8,
    pub(super) version: u8,
    pub(super) last: bool,
    pub(super) ours: bool,
}

impl Meta {
    /// The number of the first record of its batch.
    pub(super) fn batch(&self) -> u64 {
        self.number.saturating_sub(u64::from(self.position))
    }

    fn flags(self) -> u16 {
        (if self.last { FLAG_LAST } else { 0 }) | (if self.ours { FLAG_OURS } else { 0 })
    }

    /// Bytes 8..24 of the frame.
    fn encode(self) -> [u8; 16] {
        let all = u128::from(self.number)
            | u128::from(self.position) << 64
            | u128::from(self.kind) << 96
            | u128::from(self.version) << 104
            | u128::from(self.flags()) << 112;
        all.to_le_bytes()
    }
}

/// Why a segment was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    Followed,
    Closed,
    Recovered,
}

impl Seal {
    fn kind(self) -> u8 {
        match self {
            Self::Followed => 1,
            Self::Closed => 2,
            Self::Recovered => 3,
        }
    }

    pub(super) fn of(kind: u8) -> Option<Self> {
        [Self::Followed, Self::Closed, Self::Recovered].into_iter().find(|seal| seal.kind() == kind)
    }
}

/// Bytes of a whole frame on disk.
pub(super) fn frame_bytes(payload: usize) -> u64 {
    (FRAME_BYTES + wide(payload)).next_multiple_of(8)
}

fn checksum(id: u64, len: [u8; 4], meta: &[u8], payload: &[u8]) -> u32 {
    // The id, the length and the rest of the header in one piece: a call costs more than the bytes.
    let start = u128::from(id) | u128::from(u32::from_le_bytes(len)) << 64;
    let start = start.to_le_bytes();
    let crc = crc32c::crc32c(start.first_chunk::<12>().map_or(&[], <[u8; 12]>::as_slice));
    crc32c::crc32c_append(crc32c::crc32c_append(crc, meta), payload)
}

/// Adds a frame to a buffer. The payload must be no longer than [`PAYLOAD_BYTES_MAX`].
pub(super) fn put(out: &mut Vec<u8>, id: u64, meta: Meta, payload: &[u8]) {
    let end = out.len().saturating_add(narrow(frame_bytes(payload.len())));
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let meta = meta.encode();
    out.extend_from_slice(&len);
    out.extend_from_slice(&checksum(id, len, &meta, payload).to_le_bytes());
    out.extend_from_slice(&meta);
    out.extend_from_slice(payload);
    out.resize(end, 0);
}

/// Adds a footer. The buffer must be at a multiple of 8.
pub(super) fn put_footer(out: &mut Vec<u8>, id: u64, seal: Seal, next: u64, count: u64) {
    let meta = Meta { number: next, position: 0, kind: seal.kind(), version: 0, last: true, ours: true };
    put(out, id, meta, &count.to_le_bytes());
}

/// The payload length and the rest of a header; nothing is checked but what can be without the payload.
pub(super) fn peek(head: &[u8]) -> Option<(usize, Meta)> {
    let len = usize::try_from(u32_at(head, 0)?).ok()?;
    let flags = u16_at(head, 22)?;
    let meta = Meta {
        number: u64_at(head, 8)?,
        position: u32_at(head, 16)?,
        kind: *head.get(20)?,
        version: *head.get(21)?,
        last: flags & FLAG_LAST != 0,
        ours: flags & FLAG_OURS != 0,
    };
    let sound = len <= PAYLOAD_BYTES_MAX && flags == meta.flags() && u64::from(meta.position) <= meta.number;
    sound.then_some((len, meta))
}

/// Whether a whole frame (with its padding) is as it was written.
pub(super) fn is_good(id: u64, frame: &[u8], payload: usize) -> bool {
    let check = || {
        let (head, rest) = frame.split_at_checked(narrow(FRAME_BYTES))?;
        let (payload, padding) = rest.split_at_checked(payload)?;
        let crc = checksum(id, array(head, 0)?, head.get(8..)?, payload);
        Some(u32_at(head, 4)? == crc && padding.iter().all(|byte| *byte == 0))
    };
    check().unwrap_or(false)
}

/// The name of a segment file.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The first number that a file's name promises; `None` where it is no segment's name.
pub(super) fn named_first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}
