//! The compressed form of a body: made once, when somebody who can read it asks, and kept beside the body.

use std::io::{self, Write};

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use common::order::ContentHash;
use flate2::Compression;
use flate2::write::GzEncoder;

/// What fits into one packet with its headers arrives no sooner when it is smaller.
const LEAST_BYTES: usize = 1_400;
/// A form that takes more than this part of the body is not worth its place.
const MOST: usize = 2;
/// What takes longer than a request may hold up the thread that others wait for.
const BLOCKING_BYTES: usize = 64 * 1024;

/// In gzip.
#[derive(Debug, Clone)]
pub struct Compressed {
    pub body: Bytes,
    pub etag: HeaderValue,
}

/// Quoted, and strong: other bytes have another tag.
pub(crate) fn entity_tag(body: &[u8]) -> HeaderValue {
    quoted(&ContentHash::of(body).to_string())
}

/// A body and its entity tag, which lies before it as it is sent: one piece of memory, which stays as long as either does.
pub(crate) fn with_its_tag(body: &[u8]) -> (Bytes, HeaderValue) {
    let tag = entity_tag(body);
    let mut body = Bytes::from([tag.as_bytes(), body].concat());
    let tag = HeaderValue::from_maybe_shared(body.split_to(tag.len()));
    (body, tag.expect("a tag is visible ASCII"))
}

/// The most that the compressed form of a body takes.
pub(crate) const fn most_bytes(body_bytes: usize) -> usize {
    if body_bytes < LEAST_BYTES {
        0
    } else {
        body_bytes / MOST
    }
}

/// `None` where it does not pay.
pub(crate) async fn gzip(body: Bytes, etag: HeaderValue) -> Option<Compressed> {
    if body.len() < BLOCKING_BYTES {
        return gzip_now(&body, &etag);
    }
    let compressing = tokio::task::spawn_blocking(move || gzip_now(&body, &etag));
    // The runtime is stopping: the body itself will do.
    compressing.await.ok().flatten()
}

/// The same, on this thread.
pub(crate) fn gzip_now(body: &[u8], etag: &HeaderValue) -> Option<Compressed> {
    let most = most_bytes(body.len());
    if most == 0 {
        return None;
    }
    let compressed = compress(body).ok()?;
    if compressed.len() > most {
        return None;
    }
    let tag = etag.to_str().ok()?.trim_matches('"');
    Some(Compressed {
        body: compressed.into(),
        etag: quoted(&format!("{tag}-gzip")),
    })
}

fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{tag}\"")).expect("a tag is visible ASCII")
}

fn compress(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    let mut compressed = encoder.finish()?;
    compressed.shrink_to_fit();
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn what_is_compressed_is_the_body_under_another_tag() {
        for length in [LEAST_BYTES, BLOCKING_BYTES] {
            let body = Bytes::from("{\"a\":1}".repeat(length));
            let form = gzip(body.clone(), quoted("x")).await.unwrap();
            assert_eq!(form.etag, "\"x-gzip\"");
            assert!(form.body.len() <= most_bytes(body.len()));
            let mut read = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&form.body[..]);
            decoder.read_to_end(&mut read).unwrap();
            assert_eq!(read, body);
        }
    }

    #[test]
    fn what_does_not_pay_is_not_kept() {
        assert!(gzip_now(&[b'a'; LEAST_BYTES - 1], &quoted("x")).is_none());
        let noise: Vec<u8> = (0..4_096_u64)
            .flat_map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7).to_le_bytes())
            .collect();
        assert!(gzip_now(&noise, &quoted("x")).is_none());
    }
}
