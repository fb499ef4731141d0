//! The two files of Swagger UI that are used, out of the release archive that `utoipa-swagger-ui-vendored` carries.
//!
//! The archive is a zip whose members are raw deflate streams with their CRC and length beside them: with a gzip header before
//! and those two behind, a member is what browsers read as `Content-Encoding: gzip`. So nothing is unpacked, neither at build
//! time nor here, and no further crate is needed.

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

const CENTRAL_ENTRY: [u8; 4] = *b"PK\x01\x02";
const CENTRAL_END: [u8; 4] = *b"PK\x05\x06";
const CENTRAL_END_BYTES: usize = 22;
const CENTRAL_ENTRY_BYTES: usize = 46;
const LOCAL_HEADER_BYTES: usize = 30;
const DEFLATE: usize = 8;
/// Deflate, no flags, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A member of `dist/` as a gzip file.
pub(super) fn gzip(name: &str) -> Vec<u8> {
    let path = format!("/dist/{name}");
    let entry = entries()
        .find(|entry| entry.name.ends_with(path.as_bytes()))
        .expect("the archive has the files that the page names");
    let (method, compressed_length) = (number(entry.header, 10, 2), number(entry.header, 20, 4));
    assert_eq!(method, DEFLATE, "{name} is not deflated");
    let local = &ARCHIVE[number(entry.header, 42, 4)..];
    let begins = LOCAL_HEADER_BYTES + number(local, 26, 2) + number(local, 28, 2);
    let (crc, length) = (&entry.header[16..20], &entry.header[24..28]);
    let deflated = &local[begins..begins + compressed_length];
    [&GZIP_HEADER, deflated, crc, length].concat()
}

struct Entry {
    header: &'static [u8],
    name: &'static [u8],
}

/// The central directory.
fn entries() -> impl Iterator<Item = Entry> {
    let end = ARCHIVE
        .windows(CENTRAL_END_BYTES)
        .rposition(|window| window.starts_with(&CENTRAL_END))
        .expect("a zip archive ends with its directory");
    let mut rest = &ARCHIVE[number(&ARCHIVE[end..], 16, 4)..];
    std::iter::from_fn(move || {
        if !rest.starts_with(&CENTRAL_ENTRY) {
            return None;
        }
        let (header, behind) = rest.split_at(CENTRAL_ENTRY_BYTES);
        let name_length = number(header, 28, 2);
        rest = &behind[name_length + number(header, 30, 2) + number(header, 32, 2)..];
        let name = &behind[..name_length];
        Some(Entry { header, name })
    })
}

/// A little-endian number of `length` bytes.
fn number(bytes: &[u8], position: usize, length: usize) -> usize {
    let bytes = &bytes[position..position + length];
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_there_as_gzip() {
        for (name, at_least) in [
            ("swagger-ui-bundle.js", 300_000),
            ("swagger-ui.css", 20_000),
        ] {
            let file = gzip(name);
            assert!(file.len() > at_least, "{name}");
            assert!(file.starts_with(&GZIP_HEADER));
        }
    }
}
