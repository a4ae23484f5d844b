//! Where a store is: in a folder of this machine, or on a database server.

use std::fmt;
use std::path::PathBuf;

use crate::error::StoreError;

/// Bytes of a schema's name: the limit of PostgreSQL.
const NAME_MAX: usize = 63;
/// The option of an address that allows settings under which a power cut loses what was acknowledged.
const UNSAFE: &str = "unsafe_durability";

/// What the names of our databases begin with, where they stand beside those of others.
const PREFIX: &str = "millrace";

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder with one SQLite file.
    Folder(PathBuf),
    /// A schema of PostgreSQL, or a database of MariaDB.
    Server(ServerPlace),
}

impl From<PathBuf> for Place {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Server(place) => write!(f, "{place}"),
        }
    }
}

/// What speaks at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// A schema on a database server.
#[derive(Clone)]
pub struct ServerPlace {
    pub(crate) dialect: Dialect,
    /// The address without our own options; it may hold a password.
    pub(crate) url: String,
    /// The schema; on MariaDB, which has no schemas within databases, the database.
    pub(crate) schema: String,
    /// Whether settings are accepted that can lose what was acknowledged.
    pub(crate) is_unsafe: bool,
    /// Whether other processes may write the schema as well.
    pub(crate) is_shared: bool,
}

impl ServerPlace {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`, or the same with `mysql://`,
    /// where the schema is a database. `schema` is the name if the address says none.
    pub fn try_new(address: &str, schema: &str) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Open(format!("the database address {why}"));
        let (engine, rest) = address.split_once("://").ok_or_else(|| {
            refused("must begin with postgres:// or mysql://; leave it empty for SQLite")
        })?;
        let dialect = match engine {
            "postgres" | "postgresql" => Dialect::Postgres,
            "mysql" | "mariadb" => Dialect::Mariadb,
            other => {
                let why = format!("begins with {other}://; there are postgres:// and mysql://");
                return Err(refused(&why));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut named, mut is_unsafe, mut others) = (None, false, Vec::new());
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("schema", name)) => named = Some(name),
                Some((UNSAFE, "accept")) => is_unsafe = true,
                Some((UNSAFE, _)) => return Err(refused("has unsafe_durability, not =accept")),
                Some(_) => others.push(option),
                None => return Err(refused("has an option without a value")),
            }
        }
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        // MariaDB has no schemas within databases: its databases stand beside those of others, so
        // their names begin with that of the address.
        let (rest, own) = match dialect {
            Dialect::Postgres => (rest, schema.to_owned()),
            Dialect::Mariadb => {
                let prefix = if database.is_empty() { PREFIX } else { database };
                let is_whole = schema == PREFIX;
                (server, if is_whole { prefix.to_owned() } else { format!("{prefix}_{schema}") })
            }
        };
        let schema = named.unwrap_or(&own);
        let is_sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_named = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !is_named || schema.len() > NAME_MAX || !schema.chars().all(is_sound) {
            let why = format!("has schema={schema}: use small letters, digits and `_`, at most 63");
            return Err(refused(&why));
        }
        let engine = match dialect {
            Dialect::Postgres => "postgres",
            Dialect::Mariadb => "mysql",
        };
        let mut url = format!("{engine}://{rest}");
        if !others.is_empty() {
            url = format!("{url}?{}", others.join("&"));
        }
        Ok(Self { dialect, url, schema: schema.to_owned(), is_unsafe, is_shared: false })
    }

    /// Lets other processes write the schema as well. Only for work that knows nothing between its
    /// transactions but what the store remembers for it.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// The schema as SQL names it.
    #[must_use]
    pub fn quoted(&self) -> String {
        self.dialect.quoted(&self.schema)
    }

    /// Whether two schemas can be read in one snapshot.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.dialect == other.dialect && self.url == other.url
    }

    /// Server and database, without who and how.
    fn shown(&self) -> &str {
        let at = self.url.rsplit_once('@').map_or_else(
            || self.url.split_once("://").map_or("", |(_, rest)| rest),
            |(_, rest)| rest,
        );
        at.split('?').next().unwrap_or(at)
    }
}

impl Dialect {
    pub(crate) fn quoted(self, name: &str) -> String {
        match self {
            Self::Postgres => format!("\"{name}\""),
            Self::Mariadb => format!("`{name}`"),
        }
    }
}

impl fmt::Display for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match self.dialect {
            Dialect::Postgres => "PostgreSQL",
            Dialect::Mariadb => "MariaDB",
        };
        write!(f, "{server} at {}, schema {}", self.shown(), self.schema)
    }
}

/// Never the address itself: it may hold a password.
impl fmt::Debug for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerPlace({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_server_and_schema_and_hides_its_password() {
        let address = "postgres://me:hush@db:5432/shop?sslmode=require&schema=stock";
        let place = ServerPlace::try_new(address, "millrace").unwrap();
        assert_eq!(place.url, "postgres://me:hush@db:5432/shop?sslmode=require");
        assert_eq!(
            format!("{place:?} {}", Place::Server(place.clone())).matches("hush").count(),
            0
        );
        assert_eq!(place.to_string(), "PostgreSQL at db:5432/shop, schema stock");
        let place = ServerPlace::try_new("mysql://db/shop", "order").unwrap();
        assert_eq!((place.url.as_str(), place.schema.as_str()), ("mysql://db", "shop_order"));
        let place = ServerPlace::try_new("mysql://db/", "order").unwrap();
        assert_eq!((place.dialect, place.schema.as_str()), (Dialect::Mariadb, "millrace_order"));
    }

    #[test]
    fn a_bad_address_is_refused_with_what_is_wrong() {
        for (address, named) in [
            ("db:5432", "must begin with"),
            ("oracle://db", "oracle"),
            ("postgres://db/x?schema=a;b", "schema=a;b"),
            ("postgres://db/x?schema=Order", "small letters"),
            ("postgres://db/x?unsafe_durability=1", "unsafe_durability"),
        ] {
            let error = ServerPlace::try_new(address, "x").unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
