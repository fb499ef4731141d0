//! PostgreSQL's binary COPY: a table's rows are encoded in memory, bounded by the batch, and sent as one message.
//!
//! Source: <https://www.postgresql.org/docs/18/sql-copy.html>, "Binary Format". The driver has a writer for it too, but
//! that awaits between rows, and a row here borrows from its batch.

use std::pin::pin;

use bytes::{BufMut, BytesMut};
use deadpool_postgres::Transaction;
use futures_util::SinkExt;
use postgres_types::{IsNull, ToSql, Type};

use super::error::{Part, StoreError};

/// Signature, flags, and the length of an extension that nobody uses.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
const NULL: i32 = -1;

pub(super) type Field<'a> = &'a (dyn ToSql + Sync);

/// Rows of one table, ready to send. Empty: nothing is sent at all.
pub(super) struct Rows<const N: usize> {
    types: [Type; N],
    buffer: BytesMut,
}

impl<const N: usize> Rows<N> {
    pub(super) fn new(types: [Type; N]) -> Self {
        Self {
            types,
            buffer: BytesMut::new(),
        }
    }

    /// One row: its fields in the order of the statement's columns.
    pub(super) fn push(&mut self, fields: [Field<'_>; N]) {
        if self.buffer.is_empty() {
            self.buffer.put_slice(HEADER);
        }
        self.buffer
            .put_i16(i16::try_from(N).expect("a table has few columns"));
        for (field, sql_type) in fields.iter().zip(&self.types) {
            let length_at = self.buffer.len();
            self.buffer.put_i32(NULL);
            let written = field
                .to_sql_checked(sql_type, &mut self.buffer)
                .expect("the types are the columns'");
            if let IsNull::No = written {
                let length = self.buffer.len() - length_at - size_of::<i32>();
                let length = i32::try_from(length).expect("an order has at most 512 KiB");
                self.buffer[length_at..length_at + size_of::<i32>()]
                    .copy_from_slice(&length.to_be_bytes());
            }
        }
    }

    pub(super) async fn send(
        mut self,
        tx: &Transaction<'_>,
        part: Part,
        sql: &str,
    ) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.buffer.put_i16(TRAILER);
        let statement = tx.prepare_cached(sql).await.map_err(StoreError::of(part))?;
        let mut sink = pin!(tx.copy_in(&statement).await.map_err(StoreError::of(part))?);
        sink.send(self.buffer.freeze())
            .await
            .map_err(StoreError::of(part))?;
        sink.finish().await.map_err(StoreError::of(part))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_fields_each_behind_its_length() {
        let mut rows = Rows::new([Type::INT4, Type::TEXT, Type::TEXT]);
        rows.push([&7_i32, &"ab", &None::<&str>]);
        let expected: &[u8] = b"\0\x03\0\0\0\x04\0\0\0\x07\0\0\0\x02ab\xff\xff\xff\xff";
        assert_eq!(&rows.buffer[..HEADER.len()], HEADER);
        assert_eq!(&rows.buffer[HEADER.len()..], expected);
    }
}
