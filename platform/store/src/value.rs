//! Values that go into statements and rows that come out.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use contracts::{CustomerId, EventId, Location, OrderId, OrderNumber, Sku, Timestamp};

use crate::error::StoreError;

/// One value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A whole number: counts, minor units, microseconds, codes.
    Int(i64),
    /// Text of the caller's.
    Text(&'a str),
    /// Bytes of the caller's.
    Blob(&'a [u8]),
    /// An identifier.
    Bytes16([u8; 16]),
    /// Text made for the statement.
    OwnedText(String),
    /// Bytes made for the statement: an encoded document.
    OwnedBlob(Vec<u8>),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Bytes16(bytes) => ValueRef::Blob(bytes),
            Self::OwnedText(text) => ValueRef::Text(text.as_bytes()),
            Self::OwnedBlob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! value_from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                $make
            }
        })*
    };
}

value_from! {
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(i64::from(value));
    u32 => |value| Self::Int(i64::from(value));
    u16 => |value| Self::Int(i64::from(value));
    u8 => |value| Self::Int(i64::from(value));
    // Counters never come near 2^63; the largest number stands in for what would not fit.
    u64 => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    usize => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    bool => |value| Self::Int(i64::from(value));
    Timestamp => |value| Self::Int(value.as_micros());
    OrderNumber => |value| Self::Int(value.as_i64());
    OrderId => |value| Self::Bytes16(*value.as_bytes());
    EventId => |value| Self::Bytes16(*value.as_bytes());
    [u8; 16] => |value| Self::Bytes16(value);
    String => |value| Self::OwnedText(value);
    Vec<u8> => |value| Self::OwnedBlob(value);
    &'a str => |value| Self::Text(value);
    &'a String => |value| Self::Text(value);
    &'a [u8] => |value| Self::Blob(value);
    &'a Vec<u8> => |value| Self::Blob(value);
    &'a Sku => |value| Self::Text(value.as_str());
    &'a CustomerId => |value| Self::Text(value.as_str());
    &'a Location => |value| Self::Text(value.as_str());
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One value of a row, as its engine gave it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'c> {
    Null,
    Int(i64),
    Text(&'c [u8]),
    Blob(&'c [u8]),
    /// Text or bytes: MariaDB does not say of text that it compares byte by byte which it is.
    Bytes(&'c [u8]),
    /// What no table of ours holds, such as a fraction.
    Other,
}

/// The values of a row, where its engine left them.
pub(crate) enum Cells<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    /// Values, and the names of their columns.
    Server(&'r [Cell<'r>], &'r [String]),
}

/// One row of a result. Columns are counted from 0.
pub struct Row<'r> {
    pub(crate) cells: Cells<'r>,
    pub(crate) source: &'r str,
}

impl Row<'_> {
    fn value(&self, column: usize) -> Result<Cell<'_>, StoreError> {
        match &self.cells {
            Cells::Sqlite(row) => match row.get_ref(column) {
                Ok(ValueRef::Null) => Ok(Cell::Null),
                Ok(ValueRef::Integer(number)) => Ok(Cell::Int(number)),
                Ok(ValueRef::Text(text)) => Ok(Cell::Text(text)),
                Ok(ValueRef::Blob(bytes)) => Ok(Cell::Blob(bytes)),
                Ok(ValueRef::Real(_)) => Ok(Cell::Other),
                Err(cause) => Err(StoreError::sqlite(self.source, cause)),
            },
            Cells::Server(cells, _) => {
                cells.get(column).copied().ok_or_else(|| self.damaged(column, "it is not there"))
            }
        }
    }

    /// The whole number in `column`.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| self.damaged(column, "it is NULL"))
    }

    /// The whole number in `column`, or `None` for NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Int(number) => Ok(Some(number)),
            Cell::Other | Cell::Text(_) | Cell::Blob(_) | Cell::Bytes(_) => {
                Err(self.damaged(column, "it is not a whole number"))
            }
        }
    }

    /// The number in `column`, which is never negative.
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).ok().ok_or_else(|| self.damaged(column, "it is negative"))
    }

    /// The time in `column`.
    pub fn timestamp(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// The time in `column`, or `None` for NULL.
    pub fn opt_timestamp(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    /// The text in `column`.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.opt_text(column)?.ok_or_else(|| self.damaged(column, "it is NULL"))
    }

    /// The text in `column`, or `None` for NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Text(text) | Cell::Bytes(text) => std::str::from_utf8(text)
                .ok()
                .map(Some)
                .ok_or_else(|| self.damaged(column, "it is not UTF-8")),
            Cell::Other | Cell::Int(_) | Cell::Blob(_) => {
                Err(self.damaged(column, "it is not text"))
            }
        }
    }

    /// The bytes in `column`.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.opt_blob(column)?.ok_or_else(|| self.damaged(column, "it is NULL"))
    }

    /// The bytes in `column`, or `None` for NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Blob(bytes) | Cell::Bytes(bytes) => Ok(Some(bytes)),
            Cell::Other | Cell::Int(_) | Cell::Text(_) => {
                Err(self.damaged(column, "it is not bytes"))
            }
        }
    }

    /// Text in `column` that `parse` must accept, such as a SKU.
    pub fn parsed<T, E: std::fmt::Display>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        parse(self.text(column)?).map_err(|why| self.damaged(column, &why.to_string()))
    }

    /// The order id in `column`.
    pub fn id<T, E: std::fmt::Display>(
        &self,
        column: usize,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        read(self.blob(column)?).map_err(|why| self.damaged(column, &why.to_string()))
    }

    /// The error that `column` of this row holds what was never written.
    pub fn damaged(&self, column: usize, why: &str) -> StoreError {
        let name = match &self.cells {
            Cells::Sqlite(row) => row.as_ref().column_name(column).ok(),
            Cells::Server(_, names) => names.get(column).map(String::as_str),
        };
        let name = name.unwrap_or("?").to_owned();
        let first = match &self.cells {
            Cells::Server([], _) => Cell::Null,
            Cells::Sqlite(_) | Cells::Server(..) => self.value(0).unwrap_or(Cell::Null),
        };
        let key = match first {
            Cell::Int(number) => number.to_string(),
            Cell::Text(text) | Cell::Bytes(text) => String::from_utf8_lossy(text).into_owned(),
            Cell::Blob(bytes) => format!("{bytes:02x?}"),
            Cell::Null | Cell::Other => "?".to_owned(),
        };
        let table = self.source.chars().take(80).collect();
        StoreError::Damaged { table, column: name, row: key, why: why.to_owned() }
    }
}
